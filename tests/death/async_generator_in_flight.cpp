// aborts with: an async_generator was moved or destroyed while it was awaited
#include "simulated.hpp"

#include <ringlet/async_generator.hpp>
#include <ringlet/nursery.hpp>

#include <optional>

using namespace ringlet;

async_generator<int> slow() {
  co_await sleep_for(std::chrono::seconds(1));
  co_yield 1;
}

int main() {
  return simulated([](simulation&) -> task<> {
    std::optional<async_generator<int>> values(slow());
    const auto body = [&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await values->next(); });
      co_await settle();
      values.reset();
    };
    co_await with_nursery(body);
  });
}
