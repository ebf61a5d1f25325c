// aborts with: the result of task 2 was asked for twice
#include "simulated.hpp"

#include <ringlet/nursery.hpp>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      auto work = n.spawn([]() -> task<int> { co_return 1; });
      co_await work;
      co_await work;
    });
  });
}
