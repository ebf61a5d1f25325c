// Tests of ringlet/condition_variable.hpp.
#include "kit/counted.hpp"
#include "kit/random.hpp"
#include "kit/sim.hpp"

#include <ringlet/condition_variable.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include <deque>
#include <stdexcept>
#include <string>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

struct place {
  mutex m;
  condition_variable changed;
};

/// Waits until it is notified, and then holds the mutex for a while.
task<> note_when_notified(place& p, char me, std::string& log) {
  auto guard = co_await p.m.lock();
  co_await p.changed.wait(guard);
  CHECK(guard);
  CHECK(p.m.held_by_this_task());
  log += me;
  co_await sleep_for(1ms);
}

}  // namespace

TEST_CASE("condition_variable: while a task waits the mutex is free, and afterwards it is the task's again") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    std::string log;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(note_when_notified, std::ref(p), 'a', std::ref(log));
      co_await settle();
      auto guard = p.m.try_lock();
      CHECK(guard);
      p.changed.notify();
      co_await settle();
      CHECK(log.empty());  // notified, but the mutex is ours
      guard.unlock();
      co_await settle();
      CHECK(log == "a");
      CHECK_FALSE(p.m.try_lock());
    });
    CHECK(p.m.try_lock());
  });
}

TEST_CASE("condition_variable: notify() wakes those who have waited longest, notify_all() all") {
  simulation world;
  std::string log;
  kit::run_to_the_end(world.how(), [&]() -> task<> {
    place p;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const char me : {'a', 'b', 'c', 'd', 'e'}) n.spawn(note_when_notified, std::ref(p), me, std::ref(log));
      co_await settle();
      p.changed.notify();
      co_await sleep_for(10ms);
      CHECK(log == "a");
      p.changed.notify(2);
      co_await sleep_for(10ms);
      CHECK(log == "abc");
      p.changed.notify(0);
      co_await sleep_for(10ms);
      CHECK(log == "abc");
      p.changed.notify_all();
    });
    p.changed.notify();  // nobody waits
    p.changed.notify_all();
  });
  CHECK(log == "abcde");
}

TEST_CASE("condition_variable: a notification that nobody waits for is not kept") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    p.changed.notify(3);
    auto guard = co_await p.m.lock();
    const bool notified = co_await move_on_after(1ms, p.changed.wait(guard));
    CHECK_FALSE(notified);
    CHECK(p.m.held_by_this_task());
  });
}

TEST_CASE("condition_variable: nothing is missed between unlocking and waiting") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    bool flag = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto guard = co_await p.m.lock();
      n.spawn([&]() -> task<> {
        const auto other = co_await p.m.lock();  // gets it the moment that the first one waits
        flag = true;
        p.changed.notify();
      });
      co_await settle();
      co_await p.changed.wait(guard);
      CHECK(flag);
    });
  });
}

TEST_CASE("condition_variable: with a predicate it waits until that is true, and not at all when it is") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    int value = 0, asked = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        auto guard = co_await p.m.lock();
        co_await p.changed.wait(guard, [&] {
          CHECK(p.m.held_by_this_task());
          ++asked;
          return value == 3;
        });
        CHECK(value == 3);
      });
      for (int i = 0; i < 3; ++i) {
        co_await settle();
        const auto guard = co_await p.m.lock();
        ++value;
        p.changed.notify_all();
      }
    });
    CHECK(asked == 4);
    auto guard = co_await p.m.lock();
    co_await p.changed.wait(guard, [] { return true; });
    CHECK(guard);
  });
}

TEST_CASE("condition_variable: waiting without the mutex is an error") {
  kit::in_every_order([](simulation&) -> task<> {
    condition_variable changed;
    mutex::guard nothing;
    int errors = 0;
    try {
      co_await changed.wait(nothing);
    } catch (const std::logic_error&) {
      ++errors;
    }
    try {
      co_await changed.wait(nothing, [] { return true; });
    } catch (const std::logic_error&) {
      ++errors;
    }
    CHECK(errors == 2);
  });
}

TEST_CASE("condition_variable: what the predicate throws comes out, with the mutex held") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    auto guard = co_await p.m.lock();
    bool failed = false;
    try {
      co_await p.changed.wait(guard, []() -> bool { throw std::runtime_error("no idea"); });
    } catch (const std::runtime_error&) {
      failed = true;
    }
    CHECK(failed);
    CHECK(p.m.held_by_this_task());
  });
}

TEST_CASE("condition_variable: a cancelled wait has the mutex again, and its notification goes to another task") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    std::string log;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto first = n.spawn([&]() -> task<> {
        auto guard = co_await p.m.lock();
        try {
          co_await p.changed.wait(guard);
        } catch (const cancelled&) {
          CHECK(p.m.held_by_this_task());
          log += "-";
          throw;
        }
      });
      co_await settle();
      n.spawn(note_when_notified, std::ref(p), 'b', std::ref(log));
      co_await settle();
      auto guard = p.m.try_lock();
      first.cancel();
      p.changed.notify();
      co_await settle();
      CHECK(log.empty());  // even a cancelled task waits for the mutex
      guard.unlock();
    });
    CHECK((log == "-b" || log == "b-"));
    CHECK(p.m.try_lock());
  });
}

TEST_CASE("condition_variable: a task that was notified and then cancelled goes on, with the mutex") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    bool went_on = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto waiter = n.spawn([&]() -> task<> {
        auto guard = co_await p.m.lock();
        co_await p.changed.wait(guard);
        CHECK(p.m.held_by_this_task());
        went_on = true;
      });
      co_await settle();
      p.changed.notify();
      waiter.cancel();
    });
    CHECK(went_on);
  });
}

TEST_CASE("condition_variable: a task that is cancelled already does not let go of the mutex") {
  kit::in_every_order([](simulation&) -> task<> {
    place p;
    auto guard = co_await p.m.lock();
    bool other_had_it = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const auto other = co_await p.m.lock();
        other_had_it = true;
      });
      co_await settle();
      cancel_scope closed;
      closed.cancel();
      const bool waited = co_await closed.run(p.changed.wait(guard));
      CHECK_FALSE(waited);
      CHECK_FALSE(other_had_it);
      CHECK(p.m.held_by_this_task());
      guard.unlock();
    });
  });
}

TEST_CASE("condition_variable: producers and consumers with a bounded buffer lose nothing, patient or not") {
  kit::in_random_worlds(60, [](simulation&, kit::random& draw) -> task<> {
    constexpr int items = 60;
    place p;
    condition_variable has_room;
    std::deque<int> buffer;
    int made = 0, taken = 0, sum = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 3; ++i) {
        n.spawn([&]() -> task<> {
          while (made < items) {
            auto guard = co_await p.m.lock();
            const auto room = [&] { return buffer.size() < 3; };
            if (!co_await move_on_after(1us + draw.below(5) * 1us, has_room.wait(guard, room))) continue;
            if (made == items) break;
            buffer.push_back(++made);
            p.changed.notify();
          }
        });
        n.spawn([&]() -> task<> {
          while (taken < items) {
            auto guard = co_await p.m.lock();
            const auto filled = [&] { return !buffer.empty(); };
            if (!co_await move_on_after(1us + draw.below(5) * 1us, p.changed.wait(guard, filled))) continue;
            sum += buffer.front();
            buffer.pop_front();
            ++taken;
            has_room.notify();
            if (draw.one_in(3)) co_await yield_now();
          }
        });
      }
      co_return;
    });
    CHECK(sum == items * (items + 1) / 2);
  });
}
