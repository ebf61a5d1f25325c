// aborts with: a channel was destroyed with 1 tasks waiting to receive
#include "simulated.hpp"

#include <ringlet/mt_channel.hpp>
#include <ringlet/nursery.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto c = std::make_unique<mt_channel<int>>(1);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await c->receive(); });
      co_await settle();
      c.reset();
    });
  });
}
