// Tests of ringlet/recursive_mutex.hpp.
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/recursive_mutex.hpp>
#include <ringlet/timeout.hpp>

#include <algorithm>
#include <string>
#include <utility>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// Locks it so many times, one inside the other, and holds it for a while.
task<> dive(recursive_mutex& m, int depth, int& inside, int& most) {
  const auto guard = co_await m.lock();
  most = std::max(most, ++inside);
  if (depth > 1) {
    int inner = 0, unused = 0;
    co_await dive(m, depth - 1, inner, unused);
  } else {
    co_await sleep_for(1ms);
  }
  --inside;
}

/// Tries to lock it from a task of its own.
task<bool> others_can_lock(recursive_mutex& m) {
  bool locked = false;
  co_await with_nursery([&](nursery& n) -> task<> {
    n.spawn([&]() -> task<> {
      locked = static_cast<bool>(m.try_lock());
      co_return;
    });
    co_return;
  });
  co_return locked;
}

}  // namespace

TEST_CASE("recursive_mutex: the task that holds it locks it again, and all others wait") {
  kit::in_every_order([](simulation&) -> task<> {
    recursive_mutex m;
    int inside = 0, most = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 1; i <= 5; ++i) n.spawn([&](int depth) { return dive(m, depth, inside, most); }, i);
      co_return;
    });
    CHECK(inside == 0);
    CHECK(most == 1);
    CHECK(m.try_lock());
  });
}

TEST_CASE("recursive_mutex: it is free once each guard is gone, in whatever order") {
  kit::in_every_order([](simulation&) -> task<> {
    recursive_mutex m;
    auto first = co_await m.lock();
    auto second = m.try_lock();
    auto third = co_await m.lock();
    CHECK((first && second && third));
    first.unlock();
    first.unlock();
    third = recursive_mutex::guard();
    bool free = co_await others_can_lock(m);
    CHECK_FALSE(free);
    auto moved = std::move(second);
    CHECK_FALSE(second);
    moved.unlock();
    free = co_await others_can_lock(m);
    CHECK(free);
  });
}

TEST_CASE("recursive_mutex: try_lock of another task fails, and takes nothing from the one that holds it") {
  kit::in_every_order([](simulation&) -> task<> {
    recursive_mutex m;
    const auto guard = co_await m.lock();
    for (int i = 0; i < 3; ++i) {
      const bool free = co_await others_can_lock(m);
      CHECK_FALSE(free);
    }
    const auto again = co_await m.lock();
    CHECK(again);
  });
}

TEST_CASE("recursive_mutex: goes to the task that has waited longest, and cannot be snatched") {
  kit::in_every_order([](simulation&) -> task<> {
    recursive_mutex m;
    bool other_had_it = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto guard = co_await m.lock();
      n.spawn([&]() -> task<> {
        const auto mine = co_await m.lock();
        other_had_it = true;
      });
      co_await settle();
      guard.unlock();
      CHECK_FALSE(m.try_lock());
    });
    CHECK(other_had_it);
  });
}

TEST_CASE("recursive_mutex: a cancelled task has not locked it, first or again") {
  kit::in_every_order([](simulation&) -> task<> {
    recursive_mutex m;
    cancel_scope closed;
    closed.cancel();
    {
      const auto held = co_await m.lock();
      const auto again = co_await closed.run(m.lock());
      CHECK_FALSE(again.has_value());
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          const auto theirs = co_await move_on_after(1ms, m.lock());
          CHECK_FALSE(theirs.has_value());
        });
        co_return;
      });
    }
    CHECK(m.try_lock());
  });
}

TEST_CASE("recursive_mutex: a task that only locks and unlocks lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    recursive_mutex m;
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      const auto outer = co_await m.lock();
      for (int i = 0; i < 10'000; ++i) const auto inner = co_await m.lock();
      n.cancel();
    });
    CHECK(turns_of_other > 50);
  });
}

TEST_CASE("recursive_mutex: who locks it again has it, whatever becomes of the other guards meanwhile") {
  for (int spent = 0; spent < 4; ++spent) {  // of the budget, so that others run at each place where they can
    kit::in_every_order([spent](simulation&) -> task<> {
      recursive_mutex m;
      int inside = 0, most = 0;
      const auto stay = [&]() -> task<> {
        most = std::max(most, ++inside);
        co_await sleep_for(1ms);
        --inside;
      };
      auto passed_on = co_await m.lock();
      for (int i = 0; i < spent; ++i) co_await checkpoint();
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          passed_on.unlock();
          co_return;
        });
        n.spawn([&]() -> task<> {
          const auto guard = co_await m.lock();
          co_await stay();
        });
        while (passed_on) {
          const auto again = co_await m.lock();
          if (!passed_on) co_await stay();
        }
      });
      CHECK(most == 1);
    });
  }
}
