// Tests of ringlet/sleep.hpp.
#include "kit/random.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/timeout.hpp>

#include <chrono>
#include <limits>
#include <map>
#include <string>
#include <vector>

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
  const auto begin = std::chrono::steady_clock::now();
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    co_await sleep_for(1h);
    CHECK(world.clock().now() - start == 1h);
  });
  CHECK(std::chrono::steady_clock::now() - begin < 1min);
}

TEST_CASE("sleep: for zero or less it suspends exactly once, and time stands still") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      co_await yield_now();
      for (const duration length : {duration(0), duration(-1), duration(-1h), duration::min()}) {
        const std::uint64_t turn = this_scheduler().stats().turns;
        co_await sleep_for(length);
        CHECK(this_scheduler().stats().turns == turn + 1);
      }
      const std::uint64_t turn = this_scheduler().stats().turns;
      co_await sleep_until(start - 1h);
      co_await sleep_until(long_ago);
      CHECK(this_scheduler().stats().turns == turn + 2);
      n.cancel();
    });
    CHECK(turns_of_other >= 6);
    CHECK(world.clock().now() == start);
  });
}

TEST_CASE("sleep: the longest time there is does not overflow") {
  kit::in_every_order([](simulation&) -> task<> {
    const bool slept = co_await move_on_after(1h, sleep_for(duration::max()));
    CHECK_FALSE(slept);
    const bool reached = co_await move_on_after(1h, sleep_until(never));
    CHECK_FALSE(reached);
    const bool ended = co_await move_on_after(1h, sleep_forever());
    CHECK_FALSE(ended);
    const bool nearly = co_await move_on_after(1h, sleep_until(never - duration(1)));
    CHECK_FALSE(nearly);
  });
}

TEST_CASE("sleep: takes any unit, fractions, and what is longer than there are nanoseconds") {
  static_assert(duration(any_duration(0.5s)) == 500ms);
  static_assert(duration(any_duration(-1.5ms)) == -1500us);
  static_assert(duration(any_duration(std::chrono::duration<long long, std::pico>(2'000'000))) == 2us);
  static_assert(duration(any_duration(std::chrono::hours(24 * 365 * 290))) == std::chrono::hours(24 * 365 * 290));
  static_assert(duration(any_duration(std::chrono::hours::max())) == duration::max());
  static_assert(duration(any_duration(std::chrono::hours::min())) == duration::min());
  static_assert(duration(any_duration(std::chrono::years(1000))) == duration::max());
  static_assert(duration(any_duration(std::chrono::duration<double>(1e200))) == duration::max());
  CHECK(duration(any_duration(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()))) == 0ns);
  static_assert(duration(any_duration(duration::max())) == duration::max());
  using sixtieths = std::chrono::duration<long long, std::ratio<1, 60>>;
  static_assert(duration(any_duration(sixtieths(90))) == 1500ms);
  static_assert(duration(any_duration(sixtieths(400'000'000'000))) > std::chrono::years(200));
  static_assert(duration(any_duration(sixtieths::max())) == duration::max());
  struct setting {
    operator duration() const { return 250ms; }
  };
  CHECK(duration(any_duration(setting())) == 250ms);
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    co_await sleep_for(0.25s);
    CHECK(world.clock().now() - start == 250ms);
    const bool in_time = co_await move_on_after(std::chrono::hours::max(), sleep_for(1.5s));
    CHECK(in_time);
    CHECK(world.clock().now() - start == 1750ms);
  });
}

TEST_CASE("sleep: a timer fires on time although there is always a task that can run") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (;;) {
          world.clock().advance_to(world.clock().now() + 1ms);  // computes for a millisecond
          co_await yield_now();
        }
      });
      co_await sleep_for(10ms);
      CHECK(world.clock().now() - start <= 12ms);
      n.cancel();
    });
  });
}

TEST_CASE("sleep: the loop's time is constant during a turn") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point before = this_scheduler().now();
    world.clock().advance_to(before + 1ms);
    CHECK(this_scheduler().now() == before);
    co_await yield_now();
    CHECK(this_scheduler().now() == before + 1ms);
  });
}

TEST_CASE("sleep: a cancelled sleep ends at once and its timer does not fire any more") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int ended = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto sleeper = n.spawn([&]() -> task<> {
        for (int i = 0; i < 2; ++i) {
          try {
            co_await sleep_for(10ms);
          } catch (const cancelled&) {
            ++ended;
          }
        }
      });
      co_await sleep_for(1ms);
      sleeper.cancel();
      co_await settle();
      CHECK(ended == 2);
      CHECK(sleeper.done());
    });
    CHECK(world.clock().now() - start == 1ms + duration(1));
    co_await sleep_for(1h);
    CHECK(ended == 2);
  });
}

TEST_CASE("sleep: a task cancelled in the turn in which its timer fired has slept") {
  kit::in_every_order([](simulation& world) -> task<> {
    bool slept = false, next_threw = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      const time_point when = world.clock().now() + 5ms;
      auto sleeper = n.spawn([&]() -> task<> {
        co_await sleep_until(when);
        slept = true;
        try {
          co_await sleep_for(1ms);
        } catch (const cancelled&) {
          next_threw = true;
        }
      });
      co_await settle();
      co_await sleep_until(when);
      sleeper.cancel();
    });
    CHECK(slept);
    CHECK(next_threw);
  });
}

TEST_CASE("yield_now: every task that was ready has had its turn by then") {
  simulation world;
  run(world.how(), []() -> task<> {
    int turns = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) {
        n.spawn([&]() -> task<> {
          ++turns;
          co_return;
        });
      }
      co_await yield_now();
      CHECK(turns == 10);
    });
  });
}

TEST_CASE("yield_now: two tasks that yield take turns") {
  simulation world;
  std::string log;
  run(world.how(), [&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto player = [&](char me) -> task<> {
        for (int i = 0; i < 3; ++i) {
          log += me;
          co_await yield_now();
        }
      };
      n.spawn(player, 'a');
      n.spawn(player, 'b');
      co_return;
    });
  });
  CHECK(log == "ababab");
}

TEST_CASE("ticker: ticks at a fixed rate, however long each round takes") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    ticker every_10ms(10ms);
    for (int i = 1; i <= 5; ++i) {
      co_await every_10ms.next();
      CHECK(world.clock().now() - start == i * 10ms);
      co_await sleep_for(i * 1ms);
    }
  });
}

TEST_CASE("ticker: ticks that the task was too late for are left out") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    ticker every_10ms(10ms);
    co_await sleep_for(35ms);
    co_await every_10ms.next();
    CHECK(world.clock().now() - start == 35ms);  // of the ticks at 10, 20 and 30 ms, one, late
    co_await every_10ms.next();
    CHECK(world.clock().now() - start == 40ms);
    co_await every_10ms.next();
    CHECK(world.clock().now() - start == 50ms);
  });
}

TEST_CASE("ticker: a tick whose wait was cancelled comes later") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    ticker every_10ms(10ms);
    for (int i = 0; i < 3; ++i) {
      const bool ticked = co_await move_on_after(2ms, every_10ms.next());
      CHECK_FALSE(ticked);
    }
    co_await every_10ms.next();
    CHECK(world.clock().now() - start == 10ms);
  });
}

TEST_CASE("ticker: a period of zero or less is an error") {
  kit::in_every_order([](simulation&) -> task<> {
    CHECK_THROWS_AS(ticker(0ms), std::invalid_argument);
    CHECK_THROWS_AS(ticker(-1ms), std::invalid_argument);
    co_return;
  });
}

// --- Against a model

namespace {

/// Sleepers that are started and cancelled at random. The model: each ends at its deadline or at its cancellation,
/// whichever is first, and those of one deadline in the order of their start.
struct sleepers {
  explicit sleepers(simulation& w) : world(w) {}

  struct sleeper {
    time_point deadline;
    time_point ended = never;
    bool was_cancelled = false;
    time_point cancelled_at = never;
    std::optional<job<void>> handle;
  };

  simulation& world;
  std::map<int, sleeper> all;  // by order of start
  std::vector<int> order_of_end;

  task<> sleep(int number) {
    sleeper& me = all.at(number);
    try {
      co_await sleep_until(me.deadline);
    } catch (const cancelled&) {
      me.was_cancelled = true;
    }
    me.ended = world.clock().now();
    if (!me.was_cancelled) order_of_end.push_back(number);
  }

  void check_against_model() const {
    for (const auto& [number, s] : all) {
      const time_point expected = std::min(s.deadline, s.cancelled_at);
      CHECK(s.ended == expected);
      if (s.cancelled_at < s.deadline) CHECK(s.was_cancelled);
      if (s.cancelled_at > s.deadline) CHECK_FALSE(s.was_cancelled);
    }
  }

  // Only without shuffling: then tasks run in the order in which their timers fired.
  void check_order() const {
    for (std::size_t i = 1; i < order_of_end.size(); ++i) {
      const sleeper& before = all.at(order_of_end[i - 1]);
      const sleeper& after = all.at(order_of_end[i]);
      const bool in_order = before.deadline < after.deadline ||
                            (before.deadline == after.deadline && order_of_end[i - 1] < order_of_end[i]);
      CHECK(in_order);
    }
  }
};

task<> start_and_cancel(nursery& n, simulation& world, kit::random& draw, sleepers& model) {
  for (int number = 0; number < 500; ++number) {
    auto& s = model.all[number];
    s.deadline = world.clock().now() + 1us + draw.below(40) * 1us;
    s.handle = n.spawn([&model](int which) { return model.sleep(which); }, number);
    co_await yield_now();
    co_await yield_now();
    const int victim = static_cast<int>(draw.below(static_cast<std::uint64_t>(number) + 1));
    auto& v = model.all.at(victim);
    if (draw.one_in(3) && v.ended == never && v.cancelled_at == never) {
      v.cancelled_at = world.clock().now();
      v.handle->cancel();
    }
    if (draw.one_in(4)) co_await sleep_for(draw.below(10) * 1us);
  }
}

}  // namespace

TEST_CASE("sleep: thousands of sleeps, started and cancelled at random, end as a simple model says") {
  kit::for_each_seed(30, [](std::uint64_t seed) {
    for (const bool shuffled : {false, true}) {
      simulation world;
      sleepers model(world);
      kit::random draw(seed);
      const auto body = [&]() -> task<> {
        co_await with_nursery([&](nursery& n) { return start_and_cancel(n, world, draw, model); });
      };
      run(shuffled ? world.how().seed(seed) : world.how(), body);
      model.check_against_model();
      if (!shuffled) model.check_order();
    }
  });
}
