// Tests of great depth and great numbers: no stack grows with them, and no memory stays behind.
#include "kit/catch.hpp"

#include <ringlet/ringlet.hpp>
#include <ringlet/testing.hpp>

#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

using namespace ringlet;
using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

namespace {

constexpr int many_awaits = 1'000'000;
constexpr int deep = 100'000;
constexpr int many_tasks = 100'000;

struct on_purpose : std::runtime_error {
  on_purpose() : std::runtime_error("thrown at the bottom") {}
};

task<int> ready_task(int n) {
  co_return n;
}

task<> ready_task_without_value() {
  co_return;
}

/// An await chain: each level awaits the one below; the lowest does what `bottom` says.
template <class Bottom>
task<int> chain(int levels, Bottom& bottom) {
  if (levels == 0) {
    co_await bottom();
    co_return 0;
  }
  const int below = co_await chain(levels - 1, bottom);
  co_return below + 1;
}

/// So many tasks that yield so many times, side by side; gives how often they did in all.
task<int> turns_of(int tasks, int turns_each) {
  int turns = 0;
  const auto take_turns = [&]() -> task<> {
    for (int turn = 0; turn < turns_each; ++turn) {
      co_await yield_now();
      ++turns;
    }
  };
  co_await with_nursery([&](nursery& n) -> task<> {
    for (int i = 0; i < tasks; ++i) n.spawn(take_turns);
    co_return;
  });
  co_return turns;
}

std::size_t resident_bytes() {
  long pages = 0, resident = 0;
  std::FILE* statm = std::fopen("/proc/self/statm", "r");
  if (statm == nullptr || std::fscanf(statm, "%ld %ld", &pages, &resident) != 2) FAIL("cannot read /proc/self/statm");
  std::fclose(statm);
  return static_cast<std::size_t>(resident) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

template <class Body>
void simulated(Body body) {
  simulation world;
  run(world.how(), body);
}

}  // namespace

// --- Awaits of what is ready

TEST_CASE("deep: a million awaits of tasks that are ready at once") {
  simulated([]() -> task<> {
    long long sum = 0;
    for (int i = 0; i < many_awaits; ++i) sum += co_await ready_task(1);
    CHECK(sum == many_awaits);
    for (int i = 0; i < many_awaits; ++i) co_await ready_task_without_value();
  });
}

TEST_CASE("deep: a million awaits of things that are ready at once") {
  simulated([]() -> task<> {
    event set;
    set.set();
    mutex free;
    semaphore permits(many_awaits);
    channel<int> items(1);
    for (int i = 0; i < many_awaits; ++i) {
      co_await set.wait();
      co_await checkpoint();
      const auto guard = co_await free.lock();
      co_await permits.acquire();
      co_await items.send(i);
      co_await items.receive();
    }
    CHECK(permits.available() == 0);
  });
}

TEST_CASE("deep: a million awaits of awaiters of other libraries that go on at once, in both ways") {
  simulated([]() -> task<> {
    struct by_handle {
      bool await_ready() { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> here) { return here; }
      int await_resume() { return 1; }
    };
    struct by_bool {
      bool await_ready() { return false; }
      bool await_suspend(std::coroutine_handle<>) { return false; }
      int await_resume() { return 1; }
    };
    int sum = 0;
    for (int i = 0; i < many_awaits; ++i) {
      sum += co_await by_handle();
      sum += co_await by_bool();
    }
    for (int i = 0; i < deep; ++i) sum += co_await with_timeout(1h, by_bool());
    CHECK(sum == 2 * many_awaits + deep);
  });
}

TEST_CASE("deep: a hundred thousand awaits of ready tasks inside scopes of every kind") {
  simulated([]() -> task<> {
    cancel_scope scope;
    long long sum = 0;
    const auto one = [] { return ready_task(1); };
    for (int i = 0; i < 100'000; ++i) {
      sum += co_await with_timeout(1h, ready_task(1));
      sum += co_await shield(ready_task(1));
      const auto in_scope = co_await scope.run(one);
      sum += *in_scope;
    }
    CHECK(sum == 300'000);
  });
}

TEST_CASE("deep: a task that throws, a hundred thousand times") {
  simulated([]() -> task<> {
    const auto fails = []() -> task<> {
      throw on_purpose();
      co_return;
    };
    int caught = 0;
    for (int i = 0; i < 100'000; ++i) {
      try {
        co_await fails();
      } catch (const on_purpose&) {
        ++caught;
      }
    }
    CHECK(caught == 100'000);
  });
}

TEST_CASE("deep: two tasks take 100,000 turns each") {
  simulated([]() -> task<> {
    const int turns = co_await turns_of(2, 100'000);
    CHECK(turns == 200'000);
  });
}

TEST_CASE("deep: 100,000 tasks take three turns each, one right after another") {
  simulated([]() -> task<> {
    const int turns = co_await turns_of(deep, 3);
    CHECK(turns == 3 * deep);
  });
}

// --- Await chains

TEST_CASE("deep: a chain of 100,000 awaits completes at once") {
  simulated([]() -> task<> {
    auto bottom = [] { return ready_task(1); };
    const int depth = co_await chain(deep, bottom);
    CHECK(depth == deep);
  });
}

TEST_CASE("deep: a thousand chains of 1,000 awaits complete side by side") {
  simulated([]() -> task<> {
    int awaited = 0;
    const auto descend = [&]() -> task<> {
      auto bottom = [] { return ready_task(1); };
      awaited += co_await chain(1'000, bottom);
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 1'000; ++i) n.spawn(descend);
      co_return;
    });
    CHECK(awaited == 1'000'000);
  });
}

TEST_CASE("deep: a chain of 100,000 awaits completes after a wait at its bottom") {
  simulated([]() -> task<> {
    auto bottom = [] { return sleep_for(1ms); };
    const int depth = co_await chain(deep, bottom);
    CHECK(depth == deep);
  });
}

TEST_CASE("deep: an exception passes through a chain of 100,000 awaits") {
  for (const bool after_a_wait : {false, true}) {
    simulated([after_a_wait]() -> task<> {
      auto bottom = [after_a_wait]() -> task<> {
        if (after_a_wait) co_await sleep_for(1ms);
        throw on_purpose();
      };
      bool caught = false;
      try {
        co_await chain(deep, bottom);
      } catch (const on_purpose&) {
        caught = true;
      }
      CHECK(caught);
    });
  }
}

TEST_CASE("deep: a cancel request unwinds a chain of 100,000 awaits") {
  simulated([]() -> task<> {
    bool reached = false, unwound = false;
    auto bottom = [&]() -> task<> {
      reached = true;
      try {
        co_await sleep_forever();
      } catch (const cancelled&) {
        unwound = true;
        throw;
      }
    };
    const auto depth = co_await move_on_after(1ms, chain(deep, bottom));
    CHECK_FALSE(depth.has_value());
    CHECK(reached);
    CHECK(unwound);
  });
}

TEST_CASE("deep: a deadlock at the bottom of a chain of 100,000 awaits is unwound") {
  simulation world;
  const auto deadlock = []() -> task<> {
    event never_set;
    auto bottom = [&] { return never_set.wait(); };
    co_await chain(deep, bottom);
  };
  CHECK_THROWS_AS(run(world.how(), deadlock), deadlock_error);
}

// --- Trees of tasks and scopes

namespace {

task<> nest_nurseries(int levels, int& reached) {
  if (levels == 0) {
    ++reached;
    co_await sleep_forever();
  }
  co_await with_nursery([levels, &reached](nursery& n) -> task<> {
    n.spawn(nest_nurseries, levels - 1, std::ref(reached));
    co_return;
  });
}

task<> nest_scopes(int levels, bool& reached) {
  if (levels == 0) {
    reached = true;
    co_await sleep_forever();
  }
  cancel_scope scope;
  const auto inner = [levels, &reached] { return nest_scopes(levels - 1, reached); };
  co_await scope.run(inner);
}

}  // namespace

TEST_CASE("deep: a cancel request reaches the bottom of 10,000 nested nurseries, and they end") {
  simulated([]() -> task<> {
    int reached = 0;
    const bool whole = co_await move_on_after(1ms, nest_nurseries(10'000, reached));
    CHECK_FALSE(whole);
    CHECK(reached == 1);
  });
}

TEST_CASE("deep: a cancel request reaches the bottom of 10,000 nested scopes, and they end") {
  simulated([]() -> task<> {
    bool reached = false;
    const bool whole = co_await move_on_after(1ms, nest_scopes(10'000, reached));
    CHECK_FALSE(whole);
    CHECK(reached);
  });
}

TEST_CASE("deep: an error passes through 10,000 nested nurseries") {
  simulated([]() -> task<> {
    struct tower {
      static task<> floor(int levels) {
        if (levels == 0) throw on_purpose();
        co_await with_nursery([levels](nursery& n) -> task<> {
          n.spawn(floor, levels - 1);
          co_return;
        });
      }
    };
    bool caught = false;
    try {
      co_await tower::floor(10'000);
    } catch (const on_purpose&) {
      caught = true;
    }
    CHECK(caught);
  });
}

// --- Many tasks

namespace {

task<int> give(int n) {
  co_await yield_now();
  co_return n;
}

/// Spawns them all and awaits each job.
task<long long> spawn_and_join(nursery& n, int count) {
  std::vector<job<int>> jobs;
  jobs.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) jobs.push_back(n.spawn(give, i));
  long long sum = 0;
  for (const auto& j : jobs) sum += co_await j;
  co_return sum;
}

task<long long> spawn_and_join_all() {
  co_return co_await with_nursery([](nursery& n) { return spawn_and_join(n, many_tasks); });
}

}  // namespace

TEST_CASE("deep: 100,000 tasks are spawned and joined, again and again, and the memory comes back") {
  constexpr long long expected = static_cast<long long>(many_tasks) * (many_tasks - 1) / 2;
  simulation world;
  CHECK(run(world.how(), spawn_and_join_all) == expected);
  const std::size_t before = resident_bytes();
  for (int round = 0; round < 5; ++round) CHECK(run(world.how(), spawn_and_join_all) == expected);
  const std::size_t after = resident_bytes();
  if (!SANITIZED) CHECK(after <= before + before / 10);
}

TEST_CASE("deep: 100,000 waiting tasks are cancelled at once") {
  simulated([]() -> task<> {
    int unwound = 0;
    event never_set;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < many_tasks; ++i) {
        n.spawn([&]() -> task<> {
          try {
            co_await never_set.wait();
          } catch (const cancelled&) {
            ++unwound;
            throw;
          }
        });
      }
      co_await settle();
      n.cancel();
    });
    CHECK(unwound == many_tasks);
  });
}

TEST_CASE("deep: 100,000 tasks that have not begun are dropped at once") {
  simulated([]() -> task<> {
    bool begun = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < many_tasks; ++i) {
        n.spawn([&]() -> task<> {
          begun = true;
          co_return;
        });
      }
      n.cancel();
      co_return;
    });
    CHECK_FALSE(begun);
  });
}

TEST_CASE("deep: when_all and when_any of 10,000 awaitables") {
  simulated([]() -> task<> {
    std::vector<task<int>> work;
    for (int i = 0; i < 10'000; ++i) work.push_back(give(i));
    const auto all = co_await when_all(std::move(work));
    CHECK(all.size() == 10'000);
    CHECK(all.back() == 9'999);
    std::vector<task<int>> race;
    for (int i = 0; i < 10'000; ++i) race.push_back(give(i));
    const auto any = co_await when_any(std::move(race));
    CHECK(any.size() == 10'000);
  });
}

TEST_CASE("deep: 100,000 timers, half of them cancelled, fire in order") {
  simulated([]() -> task<> {
    int fired = 0;
    time_point last = long_ago;
    co_await with_nursery([&](nursery& n) -> task<> {
      std::vector<job<void>> sleepers;
      for (int i = 0; i < many_tasks; ++i) {
        sleepers.push_back(n.spawn(
            [&](int number) -> task<> {
              co_await sleep_for((number * 7919) % many_tasks * 1us + 1ms);
              if (this_scheduler().now() < last) FAIL("out of order");
              last = this_scheduler().now();
              ++fired;
            },
            i));
      }
      co_await settle();
      for (std::size_t i = 0; i < sleepers.size(); i += 2) sleepers[i].cancel();
    });
    CHECK(fired == many_tasks / 2);
  });
}
