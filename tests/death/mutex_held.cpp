// aborts with: a mutex was destroyed while task 1 held it
#include "simulated.hpp"

#include <ringlet/mutex.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto m = std::make_unique<mutex>();
    const auto guard = co_await m->lock();
    m.reset();
  });
}
