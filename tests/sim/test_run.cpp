// Tests of ringlet/run.hpp.
#include "kit/counted.hpp"
#include "kit/sim.hpp"

#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/run.hpp>
#include <ringlet/sleep.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

task<int> sum(int a, int b) {
  co_await yield_now();
  co_return a + b;
}

task<int&> refer(int& number) {
  co_return number;
}

}  // namespace

TEST_CASE("run: returns what the root task returns: a value, a reference, what only moves, or nothing") {
  simulation world;
  CHECK(run(world.how(), sum, 2, 3) == 5);
  int number = 1;
  int& same = run(world.how(), refer, std::ref(number));
  CHECK(&same == &number);
  const auto moved = run(world.how(), []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); });
  CHECK(*moved == 4);
  run(world.how(), []() -> task<> { co_return; });
}

TEST_CASE("run: throws what the root task threw, with its own type; and the loop can be run again") {
  simulation world;
  const auto fails = []() -> task<> {
    co_await yield_now();
    throw std::out_of_range("root");
  };
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_AS(run(world.how(), fails), std::out_of_range);
    CHECK(run(world.how(), sum, 1, i) == 1 + i);
  }
}

TEST_CASE("run: a callable that throws before it gives a task makes run throw that") {
  simulation world;
  const auto refuses = []() -> task<> { throw std::runtime_error("no task"); };
  CHECK_THROWS_AS(run(world.how(), refuses), std::runtime_error);
  CHECK(run(world.how(), sum, 1, 1) == 2);
}

TEST_CASE("run: function and arguments live until the end of run, and are destroyed once") {
  kit::tally t;
  simulation world;
  {
    const kit::balanced captured(t);
    const auto root = [captured](const kit::balanced& argument, std::unique_ptr<int> moved) -> task<std::size_t> {
      co_await sleep_for(1ms);
      co_return captured.text().size() + argument.text().size() + static_cast<std::size_t>(*moved);
    };
    CHECK(run(world.how(), root, kit::balanced(t), std::make_unique<int>(1)) == 2 * captured.text().size() + 1);
  }
  CHECK(t.alive == 0);
}

TEST_CASE("run: takes a function that gives any awaitable") {
  simulation world;
  const time_point start = world.clock().now();
  run(world.how(), [] { return sleep_for(5ms); });
  CHECK(world.clock().now() - start == 5ms);
}

TEST_CASE("run: inside run on the same thread is an error, and the loop outside goes on") {
  kit::in_every_order([](simulation& world) -> task<> {
    CHECK_THROWS_AS(run(world.how(), sum, 1, 2), std::logic_error);
    CHECK_THROWS_AS(run(sum, 1, 2), std::logic_error);
    auto [a, b] = world.connection();
    co_await a.write_all("still works");
    co_await sleep_for(1ms);
    const int three = co_await sum(1, 2);
    CHECK(three == 3);
  });
}

TEST_CASE("run: every thread may have a loop of its own at the same time") {
  simulation world;
  run(world.how(), [&]() -> task<> {
    int result = 0;
    std::thread other([&] {
      simulation other_world;
      result = run(other_world.how(), sum, 20, 22);
    });
    co_await sleep_for(1ms);
    other.join();
    CHECK(result == 42);
    co_await sleep_for(1ms);
  });
}

TEST_CASE("run: returns only when every task below the root has ended") {
  kit::tally t;
  simulation world;
  const auto root = [&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) {
        n.spawn(
            [](kit::balanced held) -> task<> {
              co_await sleep_for(5ms);
              CHECK_FALSE(held.text().empty());
            },
            kit::balanced(t));
      }
      throw std::runtime_error("early");
      co_return;
    });
  };
  CHECK_THROWS_AS(run(world.how(), root), std::runtime_error);
  CHECK(t.made >= 10);
  CHECK(t.alive == 0);
}

TEST_CASE("run: virtual time goes on from one run to the next on the same clock") {
  simulation world;
  const time_point start = world.clock().now();
  for (int i = 0; i < 3; ++i) {
    run(world.how(), []() -> task<> { co_await sleep_for(1h); });
  }
  CHECK(world.clock().now() - start == 3h);
}

TEST_CASE("run: an exception that is no std::exception comes out as what it is") {
  simulation world;
  const auto throws_number = []() -> task<> {
    throw 5;
    co_return;
  };
  CHECK_THROWS_AS(run(world.how(), throws_number), int);
}
