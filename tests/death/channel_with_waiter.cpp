// aborts with: a channel was destroyed with 1 tasks waiting
#include "simulated.hpp"

#include <ringlet/channel.hpp>
#include <ringlet/nursery.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto items = std::make_unique<channel<int>>(1);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await items->receive(); });
      co_await settle();
      items.reset();
    });
  });
}
