// aborts with: a channel was destroyed with somebody waiting to send
#include "simulated.hpp"

#include <ringlet/mt_channel.hpp>
#include <ringlet/nursery.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto c = std::make_unique<mt_channel<int>>(0);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await c->send(1); });
      co_await settle();
      c.reset();
    });
  });
}
