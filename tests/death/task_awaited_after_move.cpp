// aborts with: a task was awaited a second time, or after it was moved away
#include "simulated.hpp"

using namespace ringlet;

task<int> one() {
  co_return 1;
}

int main() {
  return simulated([](simulation&) -> task<> {
    task<int> t = one();
    const task<int> taken = std::move(t);
    co_await std::move(t);
  });
}
