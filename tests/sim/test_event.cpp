// Tests of ringlet/event.hpp.
#include "kit/random.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("event: set before the wait, the wait is over at once") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    CHECK_FALSE(e.is_set());
    e.set();
    CHECK(e.is_set());
    const std::uint64_t turn = this_scheduler().stats().turns;
    co_await e.wait();
    co_await e.wait();
    CHECK(this_scheduler().stats().turns == turn);
  });
}

TEST_CASE("event: set twice, or without anybody who waits, it is just set") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    e.set();
    e.set();
    CHECK(e.is_set());
    co_await e.wait();
    e.clear();
    e.clear();
    CHECK_FALSE(e.is_set());
    const bool came = co_await move_on_after(1ms, e.wait());
    CHECK_FALSE(came);
  });
}

TEST_CASE("event: set wakes all who wait, in the order of their coming") {
  simulation world;
  std::string order;
  run(world.how(), [&]() -> task<> {
    event e;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (char c : {'a', 'b', 'c'}) {
        n.spawn(
            [&](char me) -> task<> {
              co_await e.wait();
              order += me;
            },
            c);
      }
      co_await settle();
      e.set();
    });
  });
  CHECK(order == "abc");
}

TEST_CASE("event: a task that was woken goes on even if the event is cleared by then") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    int woken = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 3; ++i) {
        n.spawn([&]() -> task<> {
          co_await e.wait();
          ++woken;
        });
      }
      co_await settle();
      e.set();
      e.clear();
      const bool later_one = co_await move_on_after(1ms, e.wait());
      CHECK_FALSE(later_one);
    });
    CHECK(woken == 3);
  });
}

TEST_CASE("event: a cancelled waiter is forgotten, the others are not") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    int woken = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      std::vector<job<void>> waiting;
      for (int i = 0; i < 4; ++i) {
        waiting.push_back(n.spawn([&]() -> task<> {
          co_await e.wait();
          ++woken;
        }));
      }
      co_await settle();
      waiting[1].cancel();
      e.set();
    });
    CHECK(woken == 3);
  });
}

TEST_CASE("event: a task that only awaits set events lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    e.set();
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      for (int i = 0; i < 10'000; ++i) co_await e.wait();
      n.cancel();
    });
    CHECK(turns_of_other > 50);
  });
}

// --- Against a model

namespace {

/// Waiters, sets, clears and cancellations at random. The model: a set ends every wait that has begun and was not
/// cancelled before; a wait on a set event ends at once.
struct waiters {
  struct waiter {
    bool waits = true;
    bool expected_to_wait = true;
    bool cancelled_by_us = false;
    bool was_cancelled = false;
    std::optional<job<void>> handle;
  };

  event e;
  bool model_is_set = false;
  std::vector<std::unique_ptr<waiter>> all;

  task<> wait(std::size_t number) {
    waiter& me = *all[number];
    try {
      co_await e.wait();
    } catch (const cancelled&) {
      me.was_cancelled = true;
    }
    me.waits = false;
  }

  void check() const {
    CHECK(e.is_set() == model_is_set);
    const bool agree = std::all_of(all.begin(), all.end(), [](const auto& w) {
      return w->waits == w->expected_to_wait && w->was_cancelled == w->cancelled_by_us;
    });
    CHECK(agree);
  }
};

task<> play(nursery& n, kit::random& draw, waiters& model) {
  for (int step = 0; step < 300; ++step) {
    switch (draw.below(6)) {
      case 0:
      case 1:
      case 2: {
        const std::size_t number = model.all.size();
        auto& w = *model.all.emplace_back(std::make_unique<waiters::waiter>());
        w.expected_to_wait = !model.model_is_set;
        w.handle = n.spawn([&model](std::size_t which) { return model.wait(which); }, number);
        co_await settle();
        break;
      }
      case 3:
        model.e.set();
        model.model_is_set = true;
        for (auto& w : model.all) w->expected_to_wait = false;
        break;
      case 4:
        model.e.clear();
        model.model_is_set = false;
        break;
      default:
        if (!model.all.empty()) {
          auto& w = *model.all[draw.below(model.all.size())];
          if (w.expected_to_wait) w.cancelled_by_us = true;
          w.expected_to_wait = false;
          w.handle->cancel();
        }
    }
    if (draw.one_in(2)) {
      co_await settle();
      model.check();
    }
  }
  n.cancel();
}

}  // namespace

TEST_CASE("event: waits, sets, clears and cancellations at random do what a simple model says") {
  kit::in_random_worlds(50, [](simulation&, kit::random& draw) -> task<> {
    waiters model;
    co_await with_nursery([&](nursery& n) { return play(n, draw, model); });
  });
}
