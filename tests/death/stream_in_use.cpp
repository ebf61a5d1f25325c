// aborts with: a stream was destroyed while an operation on fd
#include "simulated.hpp"

#include <ringlet/nursery.hpp>

#include <array>
#include <optional>

using namespace ringlet;

int main() {
  return simulated([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::optional<tcp_stream> read_from(std::move(a));
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        std::array<std::byte, 8> buffer{};
        co_await read_from->read_some(buffer);
      });
      co_await settle();
      read_from.reset();
    });
  });
}
