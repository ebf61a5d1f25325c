// Tests on the kernel: pools that several loops share, functions that run loops of their own, and the default pool.
#include "kernel.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <stdexcept>
#include <thread>

using namespace kernel;

namespace {

/// On a worker: a loop that waits for `depth` functions of the same pool, each in the one before. Gives how many ran.
int nested(thread_pool* pool, int depth) {
  if (depth == 0) return 0;
  try {
    return run([=]() -> task<int> {
      const int below = co_await pool->run(nested, pool, depth - 1);
      co_return below + 1;
    });
  } catch (const std::logic_error&) {
    return 100;
  }
}

}  // namespace

TEST_CASE("thread_pool: a function may wait for its own pool while a worker is left, else it is refused, not stuck") {
  for (int workers = 1; workers <= 4; ++workers) {
    thread_pool pool(static_cast<std::size_t>(workers));
    in_time([&]() -> task<> {
      for (int round = 0; round < 3; ++round) {
        for (int depth = 0; depth < 6; ++depth) {
          const int result = co_await pool.run(nested, &pool, depth);
          CHECK(result == (depth < workers ? depth : workers - 1 + 100));
        }
      }
    });
  }
}

TEST_CASE("thread_pool: a function may wait for another pool, and for many functions of its own at once") {
  thread_pool one(1), other(2);
  const auto many = [](thread_pool* pool) {
    int sum = 0;
    run([&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 20; ++i) {
          n.spawn([&]() -> task<> { sum += co_await pool->run([] { return 1; }); });
        }
        co_return;
      });
    });
    return sum;
  };
  in_time([&]() -> task<> {
    const int of_other = co_await one.run(many, &other);
    CHECK(of_other == 20);
    for (int round = 0; round < 10; ++round) {
      const int of_own = co_await other.run(many, &other);
      CHECK(of_own == 20);
    }
  });
}

TEST_CASE("thread_pool: one pool serves loops on several threads, and each gets its own results") {
  constexpr int loops = 4, tasks = 20, rounds = 20;
  thread_pool pool(2, 3);
  std::atomic<int> wrong{0};
  std::atomic<int> right{0};
  const auto run_loop = [&](int me) {
    run([&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int t = 0; t < tasks; ++t) {
          n.spawn(
              [&](int number) -> task<> {
                const std::thread::id home = std::this_thread::get_id();
                for (int round = 0; round < rounds; ++round) {
                  const int result = co_await pool.run([](int a, int b) { return 1000 * a + b; }, me, number);
                  const bool fine = result == 1000 * me + number && std::this_thread::get_id() == home;
                  ++(fine ? right : wrong);
                }
              },
              t);
        }
        co_return;
      });
    });
  };
  {
    std::vector<std::jthread> threads;
    for (int me = 1; me < loops; ++me) threads.emplace_back([&, me] { run_loop(me); });
    run_loop(0);
  }
  CHECK(wrong == 0);
  CHECK(right == loops * tasks * rounds);
}

TEST_CASE("thread_pool: shutdown() while several loops ask runs what was accepted, and the rest is refused") {
  for (int round = 0; round < 20; ++round) {
    thread_pool pool(2);
    std::atomic<int> ran{0}, given{0}, refused{0};
    const auto ask_until_refused = [&] {
      run([&]() -> task<> {
        try {
          for (;;) {
            co_await pool.run([&] { ++ran; });
            ++given;
          }
        } catch (const std::logic_error&) {
          ++refused;
        }
      });
    };
    {
      std::jthread first(ask_until_refused), second(ask_until_refused);
      while (given < 10 * round) std::this_thread::yield();
      pool.shutdown();
    }
    CHECK(refused == 2);
    CHECK(ran == given);
    CHECK(pool.queued() == 0);
  }
}

TEST_CASE("thread_pool: loops that cancel at random share a pool without losing or doubling a function") {
  constexpr int loops = 3, tasks = 100;
  thread_pool pool(2, 4);
  std::atomic<int> ran{0}, given{0}, cancelled_ones{0}, wrong{0};
  const auto run_loop = [&](unsigned seed) {
    run([&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (unsigned t = 0; t < tasks; ++t) {
          n.spawn(
              [&](unsigned draw) -> task<> {
                int own = 0;
                const auto function = [&ran](int* count) {
                  ++*count;
                  ++ran;
                  return *count;
                };
                const std::optional<int> result =
                    co_await move_on_after(std::chrono::microseconds(draw % 300), pool.run(function, &own));
                ++(result ? given : cancelled_ones);
                if (result ? *result != 1 || own != 1 : own != 0) ++wrong;
              },
              (seed * 7919 + t) * 2654435761u >> 8);
        }
        co_return;
      });
    });
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned me = 1; me < loops; ++me) threads.emplace_back([&, me] { run_loop(me); });
    run_loop(0);
  }
  CHECK(wrong == 0);
  CHECK(ran == given);
  CHECK(given + cancelled_ones == loops * tasks);
}

TEST_CASE("offload: the default pool is made at first use and ends with the loop that used it") {
  for (int round = 0; round < 20; ++round) {
    in_time([&]() -> task<> {
      const std::thread::id ran_on = co_await offload([] { return std::this_thread::get_id(); });
      CHECK(ran_on != std::this_thread::get_id());
      CHECK(this_scheduler().stats().offloads == 0);
      CHECK(default_pool().workers() == std::max(1u, std::thread::hardware_concurrency()));
    });
  }
}

TEST_CASE("offload: loops on several threads share the default pool, and it lives as long as one of them") {
  const thread_pool* here = nullptr;
  const thread_pool* there = nullptr;
  std::atomic<int> step{0};
  std::jthread other([&] {
    run([&]() -> task<> {
      there = &default_pool();
      ++step;
      while (step < 2) co_await sleep_for(1ms);
    });
    ++step;
  });
  in_time([&]() -> task<> {
    here = &default_pool();
    ++step;
    while (step < 3) co_await sleep_for(1ms);  // the other loop has ended
    const int result = co_await offload([] { return 1; });
    CHECK(result == 1);
  });
  CHECK(here == there);
}

TEST_CASE("offload: loops that start and end side by side use it again and again") {
  std::atomic<int> done{0};
  const auto many_loops = [&] {
    for (int round = 0; round < 100; ++round) {
      const int result = run([]() -> task<int> {
        const int got = co_await offload([] { return 1; });
        co_return got;
      });
      done += result;
    }
  };
  {
    std::jthread first(many_loops), second(many_loops);
    many_loops();
  }
  CHECK(done == 300);
}
