// Tests of ringlet/latch.hpp.
#include "kit/sim.hpp"

#include <ringlet/latch.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include <stdexcept>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("latch: lets everybody through once it has counted down, and from then on") {
  kit::in_every_order([](simulation&) -> task<> {
    latch l(3);
    int through = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 4; ++i) {
        n.spawn([&]() -> task<> {
          co_await l.wait();
          ++through;
        });
      }
      l.count_down();
      co_await settle();
      CHECK(through == 0);
      CHECK_FALSE(l.try_wait());
      CHECK(l.left() == 2);
      l.count_down(2);
      CHECK(l.try_wait());
      co_await settle();
      CHECK(through == 4);
      co_await l.wait();
    });
  });
}

TEST_CASE("latch: of nothing is open, and counting below zero is an error that changes nothing") {
  kit::in_every_order([](simulation&) -> task<> {
    latch open(0);
    CHECK(open.try_wait());
    co_await open.wait();
    CHECK_THROWS_AS(open.count_down(), std::logic_error);
    open.count_down(0);
    latch two(2);
    CHECK_THROWS_AS(two.count_down(3), std::logic_error);
    CHECK(two.left() == 2);
  });
}

TEST_CASE("latch: arrive_and_wait() counts and waits") {
  kit::in_every_order([](simulation&) -> task<> {
    constexpr std::size_t parties = 4;
    latch l(parties);
    std::size_t arrived = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (std::size_t i = 0; i < parties; ++i) {
        n.spawn([&]() -> task<> {
          ++arrived;
          co_await l.arrive_and_wait();
          CHECK(arrived == parties);
        });
      }
      co_return;
    });
    CHECK(l.try_wait());
  });
}

TEST_CASE("latch: a task that was cancelled before it arrived has not counted, and one that waited has") {
  kit::in_every_order([](simulation&) -> task<> {
    latch l(2);
    cancel_scope closed;
    closed.cancel();
    const bool counted = co_await closed.run(l.arrive_and_wait());
    CHECK_FALSE(counted);
    CHECK(l.left() == 2);
    const bool through = co_await move_on_after(1ms, l.arrive_and_wait());
    CHECK_FALSE(through);
    CHECK(l.left() == 1);
  });
}
