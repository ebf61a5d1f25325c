// Tests of ringlet/as_completed.hpp with jobs; tests/kernel/test_future.cpp has those with futures.
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/as_completed.hpp>
#include <ringlet/thread_pool.hpp>
#include <ringlet/timeout.hpp>

#include <stdexcept>
#include <thread>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

using jobs = std::vector<job<int>>;

jobs spawn_sleepers(nursery& n, std::initializer_list<int> milliseconds) {
  jobs all;
  for (const int length : milliseconds) all.push_back(n.spawn(kit::give_after, length * 1ms, length));
  return all;
}

template <class Stream>
task<std::vector<int>> values_of(Stream& stream) {
  std::vector<int> values;
  while (auto next = co_await stream.next()) {
    CHECK(next->done());
    values.push_back(co_await *next);
  }
  co_return values;
}

}  // namespace

TEST_CASE("as_completed: jobs come in the order in which they end") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      auto ended = as_completed(spawn_sleepers(n, {30, 10, 40, 20}));
      const std::vector<int> values = co_await values_of(ended);
      CHECK(values == std::vector<int>{10, 20, 30, 40});
      const auto more = co_await ended.next();
      CHECK_FALSE(more.has_value());
    });
  });
}

TEST_CASE("as_completed: those that have ended before come first, in the order of the range") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      jobs all = spawn_sleepers(n, {3, 50, 2, 1});
      co_await sleep_for(10ms);
      auto ended = as_completed(all);  // of jobs a copy will do
      const std::vector<int> values = co_await values_of(ended);
      CHECK(values == std::vector<int>{3, 2, 1, 50});
    });
  });
}

TEST_CASE("as_completed: of nothing is over at once") {
  kit::in_every_order([](simulation&) -> task<> {
    auto ended = as_completed(jobs());
    const auto none = co_await ended.next();
    CHECK_FALSE(none.has_value());
  });
}

TEST_CASE("as_completed: jobs that fail or are cancelled come like the others") {
  kit::in_every_order([](simulation&) -> task<> {
    bool failed = false;
    try {
      co_await with_nursery([](nursery& n) -> task<> {
        jobs all = spawn_sleepers(n, {1, 60});
        all.push_back(n.spawn([]() -> task<int> {
          co_await sleep_for(5ms);
          throw std::runtime_error("on purpose");
        }));
        auto ended = as_completed(all);
        all[0].cancel();
        const auto first = co_await ended.next();
        REQUIRE(first.has_value());
        CHECK(first->id() == all[0].id());
        co_await shield(ended.next());  // its error ends the nursery
        co_await checkpoint();
      });
    } catch (const std::runtime_error&) {
      failed = true;
    }
    CHECK(failed);
  });
}

TEST_CASE("as_completed: a cancelled wait loses none, and the stream may go at any time") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      {
        auto ended = as_completed(spawn_sleepers(n, {5, 6, 7, 100}));
        const auto early = co_await move_on_after(1ms, ended.next());
        CHECK_FALSE(early.has_value());
        co_await sleep_for(20ms);
        std::vector<int> values;
        for (int i = 0; i < 3; ++i) {
          const auto next = co_await ended.next();
          REQUIRE(next.has_value());
          values.push_back(co_await *next);
        }
        CHECK(values == std::vector<int>{5, 6, 7});
      }
      n.cancel();
    });
  });
}

TEST_CASE("future: virtual time stands still while a task waits for one") {
  simulation world;
  kit::run_to_the_end(world.how(), [&]() -> task<> {
    thread_pool pool(1);
    const time_point start = world.clock().now();
    auto slow = pool.submit([] {
      std::this_thread::sleep_for(2ms);
      return 1;
    });
    const auto wait = [&]() -> task<int> { co_return co_await slow; };
    const int got = co_await with_timeout(1ns, wait());
    CHECK(got == 1);
    CHECK(world.clock().now() == start);
    CHECK(this_scheduler().stats().offloads == 0);
  });
}
