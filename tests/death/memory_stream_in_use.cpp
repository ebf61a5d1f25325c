// aborts with: a memory stream was destroyed while an operation on it was in flight
#include "simulated.hpp"

#include <ringlet/nursery.hpp>

#include <optional>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto [a, b] = memory_stream_pair();
    std::optional<memory_stream> received_from(std::move(a));
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await received_from->receive(); });
      co_await settle();
      received_from.reset();
    });
  });
}
