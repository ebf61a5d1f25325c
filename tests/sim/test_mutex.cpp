// Tests of ringlet/mutex.hpp.
#include "kit/random.hpp"
#include "kit/sim.hpp"

#include <ringlet/mutex.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("mutex: one task at a time holds it, also across awaits") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    int inside = 0, most = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 5; ++i) {
        n.spawn([&]() -> task<> {
          for (int round = 0; round < 5; ++round) {
            const auto guard = co_await m.lock();
            most = std::max(most, ++inside);
            co_await sleep_for(1ms);
            --inside;
          }
        });
      }
      co_return;
    });
    CHECK(most == 1);
  });
}

TEST_CASE("mutex: three tasks that loop on it take strict turns") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    std::string log;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (char c : {'a', 'b', 'c'}) {
        n.spawn(
            [&](char me) -> task<> {
              for (int i = 0; i < 10; ++i) {
                const auto guard = co_await m.lock();
                log += me;
                co_await yield_now();
                co_await yield_now();
              }
            },
            c);
      }
      co_return;
    });
    REQUIRE(log.size() == 30);
    for (std::size_t i = 3; i < log.size(); ++i) CHECK(log[i] == log[i - 3]);
  });
}

TEST_CASE("mutex: a free one is locked at once") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    const std::uint64_t turn = this_scheduler().stats().turns;
    {
      const auto guard = co_await m.lock();
      CHECK(guard);
    }
    {
      const auto guard = co_await m.lock();
      CHECK(guard);
    }
    CHECK(this_scheduler().stats().turns == turn);
  });
}

TEST_CASE("mutex: try_lock succeeds only when nobody holds it, and gives way to those who wait") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    bool other_had_it = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto guard = m.try_lock();
      CHECK(guard);
      CHECK_FALSE(m.try_lock());
      n.spawn([&]() -> task<> {
        const auto mine = co_await m.lock();
        other_had_it = true;
      });
      co_await settle();
      guard.unlock();
      CHECK_FALSE(m.try_lock());  // it is the waiter's already
      co_await settle();
      CHECK(m.try_lock());
    });
    CHECK(other_had_it);
  });
}

TEST_CASE("mutex: a second lock by the task that holds it is an error, and not a hang") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    std::error_code code;
    {
      const auto guard = co_await m.lock();
      try {
        const auto again = co_await m.lock();
      } catch (const std::system_error& e) {
        code = e.code();
      }
    }
    CHECK(code == std::errc::resource_deadlock_would_occur);
    const auto again = co_await m.lock();
    CHECK(again);
  });
}

TEST_CASE("mutex: an empty guard unlocks nothing that is not its own") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    mutex::guard first = co_await m.lock();
    mutex::guard second = std::move(first);
    CHECK_FALSE(first);
    first.unlock();
    CHECK_FALSE(m.try_lock());
    mutex::guard failed = m.try_lock();
    failed.unlock();
    CHECK_FALSE(m.try_lock());
    second.unlock();
    second.unlock();
    CHECK(m.try_lock());
  });
}

TEST_CASE("mutex: a guard unlocks when an exception or a cancel request unwinds its task") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    const auto fails = [&]() -> task<> {
      const auto guard = co_await m.lock();
      throw std::runtime_error("with the lock");
    };
    try {
      co_await fails();
    } catch (const std::runtime_error&) {
    }
    const auto sleeps = [&]() -> task<> {
      const auto guard = co_await m.lock();
      co_await sleep_forever();
    };
    co_await move_on_after(1ms, sleeps());
    CHECK(m.try_lock());
  });
}

TEST_CASE("mutex: a cancelled waiter is skipped") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    std::string log;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto guard = co_await m.lock();
      const auto wait = [&](char me) -> task<> {
        const auto mine = co_await m.lock();
        log += me;
      };
      auto a = n.spawn(wait, 'a');
      co_await settle();
      auto b = n.spawn(wait, 'b');
      co_await settle();
      a.cancel();
      guard.unlock();
      co_await b;
    });
    CHECK(log == "b");
  });
}

TEST_CASE("mutex: handed over to a task that is cancelled before it runs, it is given, and passed on") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    bool had_it = false, threw = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto guard = co_await m.lock();
      auto waiter = n.spawn([&]() -> task<> {
        const auto mine = co_await m.lock();
        had_it = true;
        try {
          co_await yield_now();
        } catch (const cancelled&) {
          threw = true;
          throw;
        }
      });
      co_await settle();
      guard.unlock();
      waiter.cancel();
      const auto after = co_await m.lock();
      CHECK(after);
    });
    CHECK(had_it);
    CHECK(threw);
  });
}

TEST_CASE(
    "mutex: a guard that outlives the task that locked it still unlocks, and nobody else is taken for its owner") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto lock_for_another = [&]() -> task<mutex::guard> {
        auto guard = co_await m.lock();
        co_return guard;
      };
      mutex::guard taken_over;
      {
        auto locker = n.spawn(lock_for_another);
        taken_over = co_await locker;
      }
      int waiting = 0, errors = 0;
      for (int i = 0; i < 8; ++i) {  // their records may lie where that of the first task lay
        n.spawn([&]() -> task<> {
          try {
            ++waiting;
            const auto mine = co_await m.lock();
          } catch (const std::system_error&) {
            ++errors;
          }
        });
      }
      co_await settle();
      CHECK(waiting == 8);
      CHECK(errors == 0);
      taken_over.unlock();
    });
    CHECK(m.try_lock());
  });
}

TEST_CASE("mutex: try_lock in a posted function, outside of all tasks, locks it for real") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    std::optional<mutex::guard> of_function;
    this_scheduler().post([&] { of_function = m.try_lock(); });
    co_await yield_now();
    REQUIRE(of_function.has_value());
    CHECK(*of_function);
    CHECK_FALSE(m.try_lock());
    const bool locked = (co_await move_on_after(1ms, m.lock())).has_value();
    CHECK_FALSE(locked);
    of_function.reset();
    CHECK(m.try_lock());
  });
}

// --- Against a model

namespace {

/// Tasks that lock, hold for a while, give up waiting and unlock at random. The model: a queue of those who wait, each
/// until his patience is over, from which the holder's successor is taken.
struct contest {
  static constexpr int nobody = -1;

  struct waiter {
    int who;
    time_point gives_up;
  };

  explicit contest(simulation& w) : world(w) {}

  simulation& world;
  mutex m;
  int holder = nobody;
  std::deque<waiter> queue;
  int gave_up = 0;
  int served = 0;

  void ask(int me, time_point until) {
    if (holder == nobody) {
      holder = me;
    } else {
      queue.push_back({me, until});
    }
  }

  void release() {
    const time_point now = world.clock().now();
    while (!queue.empty() && queue.front().gives_up <= now) queue.pop_front();
    holder = queue.empty() ? nobody : queue.front().who;
    if (!queue.empty()) queue.pop_front();
  }

  task<> compete(int me, kit::random& draw) {
    for (int round = 0; round < 15; ++round) {
      if (draw.one_in(4)) {
        auto guard = m.try_lock();
        CHECK(static_cast<bool>(guard) == (holder == nobody));
        if (guard) holder = me;
        if (guard) co_await hold(me, draw, std::move(guard));
      } else {
        const time_point until = world.clock().now() + 1us + draw.below(12) * 1us;
        ask(me, until);
        auto guard = co_await move_on_after(until - world.clock().now(), m.lock());
        CHECK(guard.has_value() == (holder == me));
        gave_up += guard ? 0 : 1;
        std::erase_if(queue, [me](const waiter& w) { return w.who == me; });
        if (guard) co_await hold(me, draw, std::move(*guard));
      }
      co_await sleep_for(draw.below(6) * 1us);
    }
  }

  task<> hold(int me, kit::random& draw, mutex::guard guard) {
    CHECK(holder == me);
    co_await sleep_for(draw.below(5) * 1us);
    CHECK(holder == me);
    ++served;
    release();
    guard.unlock();
  }
};

}  // namespace

TEST_CASE("mutex: locks, give-ups and unlocks at random happen in the order that a simple queue says") {
  int gave_up = 0, served = 0;
  kit::in_random_worlds(60, [&](simulation& world, kit::random& draw) -> task<> {
    contest model(world);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 8; ++i) n.spawn([&](int me) { return model.compete(me, draw); }, i);
      co_return;
    });
    CHECK(model.holder == contest::nobody);
    CHECK(model.queue.empty());
    CHECK(model.m.try_lock());
    gave_up += model.gave_up;
    served += model.served;
  });
  CHECK(gave_up > 10);
  CHECK(served > 10);
}
