// aborts with: a condition variable was destroyed with 1 tasks waiting
#include "simulated.hpp"

#include <ringlet/condition_variable.hpp>
#include <ringlet/nursery.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    mutex m;
    auto c = std::make_unique<condition_variable>();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        auto guard = co_await m.lock();
        co_await c->wait(guard);
      });
      co_await settle();
      c.reset();
    });
  });
}
