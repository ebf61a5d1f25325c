// Tests of ringlet/barrier.hpp.
#include "kit/random.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/barrier.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// Counts who got through, and who was turned away.
struct visitors {
  int through = 0;
  int turned_away = 0;

  task<> visit(barrier& b) {
    try {
      co_await b.arrive_and_wait();
      ++through;
    } catch (const broken_barrier&) {
      ++turned_away;
    }
  }
};

}  // namespace

TEST_CASE("barrier: nobody gets through before all have arrived, and then all do, again and again") {
  kit::in_every_order([](simulation&) -> task<> {
    constexpr int parties = 5, rounds = 20;
    barrier b(parties);
    std::vector<int> arrived(rounds, 0);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < parties; ++i) {
        n.spawn(
            [&](int me) -> task<> {
              for (int round = 0; round < rounds; ++round) {
                co_await sleep_for(((me * 7 + round * 3) % 5) * 1ms);
                ++arrived[round];
                co_await b.arrive_and_wait();
                CHECK(arrived[round] == parties);
              }
            },
            i);
      }
      co_return;
    });
    CHECK(b.waiting() == 0);
  });
}

TEST_CASE("barrier: gives each another index, in the order of arrival") {
  kit::in_every_order([](simulation&) -> task<> {
    barrier b(4);
    std::vector<std::size_t> index_of(4, 99);
    for (int round = 0; round < 3; ++round) {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (std::size_t i = 0; i < 4; ++i) {
          n.spawn(
              [&](std::size_t me) -> task<> {
                co_await sleep_for(((me + 2) % 4) * 1ms);
                index_of[me] = co_await b.arrive_and_wait();
              },
              i);
        }
        co_return;
      });
      CHECK(index_of == std::vector<std::size_t>{2, 3, 0, 1});
    }
  });
}

TEST_CASE("barrier: of one party lets it through at once, and of none is an error") {
  kit::in_every_order([](simulation&) -> task<> {
    CHECK_THROWS_AS(barrier(0), std::invalid_argument);
    barrier alone(1);
    CHECK(alone.parties() == 1);
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      for (int i = 0; i < 10'000; ++i) {
        const std::size_t index = co_await alone.arrive_and_wait();
        if (index != 0) FAIL_CHECK("another index");
      }
      n.cancel();
    });
    CHECK(turns_of_other > 50);
  });
}

TEST_CASE("barrier: abort() turns away who waits and who comes later, until reset()") {
  kit::in_every_order([](simulation&) -> task<> {
    barrier b(3);
    visitors seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 2; ++i) n.spawn([&]() { return seen.visit(b); });
      co_await settle();
      CHECK(b.waiting() == 2);
      b.abort();
      CHECK(b.broken());
      CHECK(b.waiting() == 0);
      co_await settle();
      CHECK(seen.turned_away == 2);
      co_await seen.visit(b);
      CHECK(seen.turned_away == 3);

      b.reset();
      CHECK_FALSE(b.broken());
      for (int i = 0; i < 3; ++i) n.spawn([&]() { return seen.visit(b); });
      co_await settle();
    });
    CHECK(seen.turned_away == 3);
    CHECK(seen.through == 3);
  });
}

TEST_CASE("barrier: reset() turns away who waits, and it begins anew") {
  kit::in_every_order([](simulation&) -> task<> {
    barrier b(2);
    visitors seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() { return seen.visit(b); });
      co_await settle();
      b.reset();
      n.spawn([&]() { return seen.visit(b); });
      co_await settle();
      CHECK(seen.turned_away == 1);
      CHECK(seen.through == 0);
      CHECK(b.waiting() == 1);
      co_await seen.visit(b);
    });
    CHECK(seen.turned_away == 1);
    CHECK(seen.through == 2);
  });
}

TEST_CASE("barrier: abort() right after the last one came lets all through that have arrived") {
  kit::in_every_order([](simulation&) -> task<> {
    barrier b(2);
    visitors seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() { return seen.visit(b); });
      co_await settle();
      const std::size_t index = co_await b.arrive_and_wait();
      CHECK(index == 1);
      b.abort();
      co_await settle();
      CHECK(seen.through == 1);
      CHECK(seen.turned_away == 0);
    });
  });
}

TEST_CASE("barrier: a cancelled task counts as not arrived") {
  kit::in_every_order([](simulation&) -> task<> {
    barrier b(3);
    visitors seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      const bool let_through = co_await move_on_after(1ms, seen.visit(b));
      CHECK_FALSE(let_through);
      CHECK(b.waiting() == 0);
      for (int i = 0; i < 2; ++i) n.spawn([&]() { return seen.visit(b); });
      co_await settle();
      CHECK(seen.through == 0);
      co_await seen.visit(b);
    });
    CHECK(seen.through == 3);
  });
}

TEST_CASE("barrier: a task that is cancelled after the last one came is through") {
  kit::in_every_order([](simulation&) -> task<> {
    barrier b(2);
    visitors seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto waiter = n.spawn([&]() { return seen.visit(b); });
      co_await settle();
      const std::size_t index = co_await b.arrive_and_wait();
      CHECK(index == 1);
      waiter.cancel();
    });
    CHECK(seen.through == 1);
  });
}

TEST_CASE("barrier: with impatient tasks each generation has all indices once") {
  int gave_up = 0;
  std::size_t generations = 0;
  kit::in_random_worlds(60, [&](simulation&, kit::random& draw) -> task<> {
    constexpr std::size_t parties = 3;
    barrier b(parties);
    std::multiset<std::size_t> seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 6; ++i) {
        n.spawn([&]() -> task<> {
          for (int round = 0; round < 20; ++round) {
            const auto index = co_await move_on_after(1us + draw.below(8) * 1us, b.arrive_and_wait());
            if (index) seen.insert(*index);
            gave_up += index ? 0 : 1;
            CHECK(b.waiting() < parties);
            co_await sleep_for(draw.below(6) * 1us);
          }
        });
      }
      co_return;
    });
    for (std::size_t index = 1; index < parties; ++index) CHECK(seen.count(index) == seen.count(0));
    generations += seen.count(0);
  });
  CHECK(gave_up > 10);
  CHECK(generations > 100);
}
