// aborts with: an event was destroyed with 2 tasks waiting for it
#include "simulated.hpp"

#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto e = std::make_unique<event>();
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 2; ++i) n.spawn([&]() -> task<> { co_await e->wait(); });
      co_await settle();
      e.reset();
    });
  });
}
