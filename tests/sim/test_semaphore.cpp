// Tests of ringlet/semaphore.hpp.
#include "kit/random.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/semaphore.hpp>
#include <ringlet/timeout.hpp>

#include <deque>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("semaphore: an awaiter that was cancelled once can be awaited again") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(0);
    auto permit = s.acquire();
    const auto take = [&]() -> task<> { co_await permit; };
    const bool in_time = co_await move_on_after(1ms, take());
    CHECK_FALSE(in_time);
    s.release();
    co_await permit;
    CHECK(s.available() == 0);
  });
}

TEST_CASE("semaphore: lets as many in as it has permits") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(3);
    int inside = 0, most = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) {
        n.spawn([&]() -> task<> {
          co_await s.acquire();
          most = std::max(most, ++inside);
          co_await sleep_for(1ms);
          --inside;
          s.release();
        });
      }
      co_return;
    });
    CHECK(most == 3);
    CHECK(s.available() == 3);
  });
}

TEST_CASE("semaphore: gives permits in the order of asking") {
  simulation world;
  std::string order;
  run(world.how(), [&]() -> task<> {
    semaphore s(0);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (char c : {'a', 'b', 'c', 'd'}) {
        n.spawn(
            [&](char me) -> task<> {
              co_await s.acquire();
              order += me;
            },
            c);
      }
      co_await settle();
      s.release(3);
      co_await settle();
      CHECK(order == "abc");
      s.release();
    });
  });
  CHECK(order == "abcd");
}

TEST_CASE("semaphore: a permit goes to the one who waits, and try_acquire cannot snatch it") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(1);
    CHECK(s.try_acquire());
    CHECK_FALSE(s.try_acquire());
    bool acquired = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await s.acquire();
        acquired = true;
      });
      co_await settle();
      s.release();
      CHECK(s.available() == 0);
      CHECK_FALSE(s.try_acquire());
    });
    CHECK(acquired);
  });
}

TEST_CASE("semaphore: a cancelled waiter is skipped") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(0);
    int acquired = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto wait = [&]() -> task<> {
        co_await s.acquire();
        ++acquired;
      };
      auto first = n.spawn(wait);
      co_await settle();
      n.spawn(wait);
      co_await settle();
      first.cancel();
      s.release();
      co_await settle();
    });
    CHECK(acquired == 1);
    CHECK(s.available() == 0);
  });
}

TEST_CASE("semaphore: a permit handed to a task that is cancelled before it runs is that task's") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(0);
    bool acquired = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto waiter = n.spawn([&]() -> task<> {
        co_await s.acquire();
        acquired = true;
        s.release();
        co_await yield_now();
        FAIL_CHECK("the request must be seen at the await after the one that was done");
      });
      co_await settle();
      s.release();
      waiter.cancel();
    });
    CHECK(acquired);
    CHECK(s.available() == 1);
  });
}

TEST_CASE("semaphore: grows beyond what it began with") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(0);
    s.release(2);
    CHECK(s.available() == 2);
    s.release(0);
    CHECK(s.available() == 2);
    co_await s.acquire();
    CHECK(s.available() == 1);
  });
}

TEST_CASE("semaphore: a task that only acquires what is free lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(10'000);
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      for (int i = 0; i < 10'000; ++i) co_await s.acquire();
      n.cancel();
    });
    CHECK(s.available() == 0);
    CHECK(turns_of_other > 50);
  });
}

TEST_CASE("bounded_semaphore: giving back more than was taken is an error, and changes nothing") {
  kit::in_every_order([](simulation&) -> task<> {
    bounded_semaphore s(2);
    CHECK_THROWS_AS(s.release(), std::logic_error);
    CHECK(s.available() == 2);
    co_await s.acquire();
    CHECK_THROWS_AS(s.release(2), std::logic_error);
    CHECK(s.available() == 1);
    s.release();
    CHECK(s.available() == 2);
    CHECK(s.try_acquire());
    CHECK(s.try_acquire());
    CHECK_FALSE(s.try_acquire());
    s.release(2);
    CHECK(s.available() == 2);
  });
}

// --- Against a model

namespace {

/// Tasks that acquire, hold, give up and release at random. The model: a number of permits in use, and a queue of those
/// who wait, each until his patience is over.
struct contest {
  static constexpr std::size_t permits = 3;

  struct waiter {
    int who;
    time_point gives_up;
  };

  explicit contest(simulation& w) : world(w) {}

  simulation& world;
  semaphore s{permits};
  std::size_t held = 0;
  std::deque<waiter> queue;
  std::set<int> has_permit;
  int gave_up = 0;
  int served = 0;

  void ask(int me, time_point until) {
    if (held < permits) {
      ++held;
      has_permit.insert(me);
    } else {
      queue.push_back({me, until});
    }
  }

  void release(int me) {
    has_permit.erase(me);
    const time_point now = world.clock().now();
    while (!queue.empty() && queue.front().gives_up <= now) queue.pop_front();
    if (queue.empty()) {
      --held;
    } else {
      has_permit.insert(queue.front().who);
      queue.pop_front();
    }
  }

  task<> compete(int me, kit::random& draw) {
    for (int round = 0; round < 15; ++round) {
      if (draw.one_in(4)) {
        const bool free = held < permits;
        const bool acquired = s.try_acquire();
        CHECK(acquired == free);
        if (acquired) ask(me, never);
      } else {
        const time_point until = world.clock().now() + 1us + draw.below(12) * 1us;
        ask(me, until);
        const bool acquired = co_await move_on_after(until - world.clock().now(), s.acquire());
        CHECK(acquired == has_permit.contains(me));
        gave_up += acquired ? 0 : 1;
        std::erase_if(queue, [me](const waiter& w) { return w.who == me; });
      }
      if (has_permit.contains(me)) co_await hold(me, draw);
      co_await sleep_for(draw.below(6) * 1us);
    }
  }

  task<> hold(int me, kit::random& draw) {
    CHECK(s.available() == permits - held);
    co_await sleep_for(draw.below(5) * 1us);
    ++served;
    release(me);
    s.release();
    CHECK(s.available() == permits - held);
  }
};

}  // namespace

TEST_CASE("semaphore: acquires, give-ups and releases at random happen in the order that a simple queue says") {
  int gave_up = 0, served = 0;
  kit::in_random_worlds(60, [&](simulation& world, kit::random& draw) -> task<> {
    contest model(world);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) n.spawn([&](int me) { return model.compete(me, draw); }, i);
      co_return;
    });
    CHECK(model.queue.empty());
    CHECK(model.has_permit.empty());
    CHECK(model.s.available() == contest::permits);
    gave_up += model.gave_up;
    served += model.served;
  });
  CHECK(gave_up > 10);
  CHECK(served > 10);
}
