// aborts with: a semaphore was destroyed with 1 tasks waiting
#include "simulated.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/semaphore.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto s = std::make_unique<semaphore>(0);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await s->acquire(); });
      co_await settle();
      s.reset();
    });
  });
}
