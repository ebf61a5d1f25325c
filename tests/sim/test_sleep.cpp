// Tests of ringlet/sleep.hpp.
#include "kit/sim.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/sleep.hpp>

#include <string>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("sleep: equal deadlines fire in start order") {
  simulation world;
  std::string order;
  run(world.how(), [&]() -> task<> {
    const time_point when = this_scheduler().now() + 5ms;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (char c : {'a', 'b', 'c'}) {
        n.spawn(
            [&](char which) -> task<> {
              co_await sleep_until(when);
              order += which;
            },
            c);
      }
      co_return;
    });
  });
  CHECK(order == "abc");
}

TEST_CASE("sleep: an hour passes at once in virtual time") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    co_await sleep_for(1h);
    CHECK(world.clock().now() - start == 1h);
  });
}
