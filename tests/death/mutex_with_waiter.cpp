// aborts with: a mutex was destroyed with 1 tasks waiting for it
#include "simulated.hpp"

#include <ringlet/mutex.hpp>
#include <ringlet/nursery.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto m = std::make_unique<mutex>();
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto guard = co_await m->lock();
      n.spawn([&]() -> task<> { const auto second = co_await m->lock(); });
      co_await settle();
      m.reset();
    });
  });
}
