// aborts with: a stream was destroyed while an operation on fd
#include "simulated.hpp"

#include <ringlet/nursery.hpp>

#include <optional>

using namespace ringlet;

int main() {
  return simulated([](simulation& world) -> task<> {
    std::optional<tcp_listener> listener(world.listener());
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await listener->accept(); });
      co_await settle();
      listener.reset();
    });
  });
}
