// Tests on the kernel: functions on threads start in order and in bounded number, come home whole, and are never left
// behind.
#include "kernel.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <future>
#include <memory>
#include <numeric>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include <signal.h>

using namespace kernel;

// Why no CHECK on the workers: the test framework counts on one thread only.

namespace {

/// Keeps a worker busy until it is opened.
class gate {
 public:
  void hold() {
    ++held_;
    open_.acquire();
  }
  void open(int count = 1) { open_.release(count); }
  int held() const { return held_; }

 private:
  std::atomic<int> held_{0};
  std::counting_semaphore<> open_{0};
};

/// Waits until `true_at_last` is. Bounded by the time limit of the test.
template <class Condition>
task<> until(Condition true_at_last) {
  while (!true_at_last()) co_await sleep_for(1ms);
}

/// What tasks that offload one after the other count together.
class crowd {
 public:
  void enter() {
    const int now = ++inside_;
    int most = most_;
    while (most < now && !most_.compare_exchange_weak(most, now)) {
    }
  }
  void leave() { --inside_; }
  int most() const { return most_; }

 private:
  std::atomic<int> inside_{0};
  std::atomic<int> most_{0};
};

/// Moves, but does not copy.
using box = std::unique_ptr<int>;

class odd_error : public std::runtime_error {
 public:
  explicit odd_error(int value) : std::runtime_error("odd"), value_(value) {}
  int value() const { return value_; }

 private:
  int value_;
};

}  // namespace

TEST_CASE("thread_pool: of many functions no more run at once than there are workers, and all of them run") {
  constexpr int workers = 4, functions = 15 * workers;
  thread_pool pool(workers);
  crowd running;
  std::atomic<int> done{0};
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < functions; ++i) {
        n.spawn([&]() -> task<> {
          co_await pool.run([&] {
            running.enter();
            std::this_thread::sleep_for(1ms);
            running.leave();
            ++done;
          });
        });
      }
      co_return;
    });
  });
  CHECK(done == functions);
  CHECK(running.most() <= workers);
  CHECK(pool.workers() == workers);
  CHECK(pool.queued() == 0);
}

TEST_CASE("thread_pool: as many functions run at once as there are workers") {
  constexpr int workers = 3;
  thread_pool pool(workers);
  std::atomic<int> here{0};
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < workers; ++i) {
        n.spawn([&]() -> task<> {
          co_await pool.run([&] {
            ++here;
            while (here < workers) std::this_thread::yield();
          });
        });
      }
      co_return;
    });
  });
  CHECK(here == workers);
}

TEST_CASE("thread_pool: a long function holds up none of those that came with it while another worker is free") {
  constexpr int functions = 50;
  thread_pool pool(2);
  for (int long_one : {0, 1, functions - 1}) {
    gate door;
    int finished = 0;
    in_time([&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < functions; ++i) {
          n.spawn(
              [&](bool is_long) -> task<> {
                co_await pool.run([&, is_long] {
                  if (is_long) door.hold();
                });
                ++finished;
              },
              i == long_one);
        }
        co_await until([&] { return finished == functions - 1; });
        door.open();
      });
    });
    CHECK(finished == functions);
  }
}

TEST_CASE("thread_pool: functions start in the order in which their tasks asked, also those that waited for a place") {
  thread_pool pool(1, 3);
  gate door;
  std::vector<int> order;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await pool.run([&] { door.hold(); }); });
      for (int i = 0; i < 20; ++i) {
        n.spawn([&](int number) -> task<> { co_await pool.run([&, number] { order.push_back(number); }); }, i);
      }
      co_await until([&] { return door.held() == 1; });
      door.open();
    });
  });
  std::vector<int> expected(20);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
}

TEST_CASE("thread_pool: tasks take turns, however many functions one of them has still to run") {
  thread_pool pool(1);
  std::string order;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const char name : {'a', 'b', 'c'}) {
        n.spawn(
            [&](char who) -> task<> {
              for (int round = 0; round < 5; ++round) co_await pool.run([&, who] { order += who; });
            },
            name);
      }
      co_return;
    });
  });
  // Each asks again only when its answer is home, so two that ask in one turn may change places, and no more.
  REQUIRE(order.size() == 15);
  for (std::size_t round = 0; round < 5; ++round) {
    std::string turn = order.substr(3 * round, 3);
    std::sort(turn.begin(), turn.end());
    CHECK(turn == "abc");
  }
}

TEST_CASE("thread_pool: a full queue keeps further tasks waiting, and each function that begins lets one in") {
  thread_pool pool(1, 2);
  gate door;
  int finished = 0;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) {
        n.spawn([&]() -> task<> {
          co_await pool.run([&] { door.hold(); });
          ++finished;
        });
      }
      co_await until([&] { return door.held() == 1; });
      CHECK(pool.queued() == 2);
      CHECK(this_scheduler().stats().offloads == 10);
      for (int opened = 1; opened < 10; ++opened) {
        door.open();
        co_await until([&] { return finished == opened && door.held() == opened + 1; });
        CHECK(pool.queued() == static_cast<std::size_t>(std::min(2, 9 - opened)));
      }
      door.open();
    });
    CHECK(this_scheduler().stats().offloads == 0);
  });
  CHECK(finished == 10);
}

TEST_CASE("thread_pool: while functions wait and run, the loop goes on") {
  thread_pool pool(1, 1);
  gate door;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 4; ++i) n.spawn([&]() -> task<> { co_await pool.run([&] { door.hold(); }); });
      co_await until([&] { return door.held() == 1; });
      connection ends = co_await connect_pair();
      co_await ends.client.write_all("still here");
      co_await expect_text(ends.server, "still here");
      door.open(4);
    });
  });
}

TEST_CASE(
    "thread_pool: a function whose task is cancelled before it began never runs, and its place goes to the next") {
  thread_pool pool(1, 2);
  gate door;
  std::string order;
  int cancelled_tasks = 0;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await pool.run([&] { door.hold(); }); });
      std::vector<job<void>> jobs;
      for (char name = 'a'; name <= 'h'; ++name) {
        jobs.push_back(n.spawn(
            [&](char who) -> task<> {
              try {
                co_await pool.run([&, who] { order += who; });
              } catch (const cancelled&) {
                ++cancelled_tasks;
                throw;
              }
            },
            name));
      }
      co_await until([&] { return door.held() == 1; });
      jobs[1].cancel();  // b: in the queue
      jobs[4].cancel();  // e: waits for a place
      jobs[0].cancel();  // a: the next to run
      co_await until([&] { return cancelled_tasks == 3; });
      CHECK(pool.queued() == 2);
      door.open();
    });
  });
  CHECK(order == "cdfgh");
}

TEST_CASE("thread_pool: cancelling all that wait for a busy worker ends them before it is free") {
  thread_pool pool(1, 4);
  gate door;
  std::atomic<int> ran{0};
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await pool.run([&] { door.hold(); }); });
      co_await until([&] { return door.held() == 1; });
      const bool finished =
          co_await move_on_after(10ms, with_nursery([&](nursery& all) -> task<> {
                                   for (int i = 0; i < 1000; ++i) {
                                     all.spawn([&]() -> task<> { co_await pool.run([&] { ++ran; }); });
                                   }
                                   co_return;
                                 }));
      CHECK_FALSE(finished);
      CHECK(pool.queued() == 0);
      door.open();
    });
  });
  CHECK(ran == 0);
}

TEST_CASE("thread_pool: a cancelled task waits for its running function, which may still use what the task owns") {
  thread_pool pool(1);
  gate door;
  std::atomic<bool> ended{false};
  bool unwound_after_end = false;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      auto running = n.spawn([&]() -> task<> {
        std::vector<int> owned(1000, 1);
        int got = 0;
        try {
          got = co_await pool.run(
              [&](std::vector<int>* data) {
                door.hold();
                const int sum = std::accumulate(data->begin(), data->end(), 0);
                ended = true;
                return sum;
              },
              &owned);
          co_await checkpoint();
        } catch (const cancelled&) {
          unwound_after_end = ended;
          CHECK(got == 1000);  // the function was not cancelled, so its value is given
          throw;
        }
      });
      co_await until([&] { return door.held() == 1; });
      running.cancel();
      co_await sleep_for(20ms);
      CHECK_FALSE(running.done());
      door.open();
    });
  });
  CHECK(unwound_after_end);
}

TEST_CASE("thread_pool: a function that takes a stop_token is told when its task is cancelled, and is waited for") {
  thread_pool pool(1);
  std::atomic<int> seen{0};  // 1: began, 2: was told and ended
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      auto running = n.spawn([&]() -> task<> {
        co_await pool.run([&](std::stop_token stop) {
          seen = 1;
          while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
          std::this_thread::sleep_for(10ms);
          seen = 2;
          throw cancelled{};
        });
        FAIL_CHECK("a cancelled function gave a value");
      });
      co_await until([&] { return seen == 1; });
      running.cancel();
      try {
        co_await running;
        FAIL_CHECK("a cancelled task gave a value");
      } catch (const task_cancelled&) {
        CHECK(seen == 2);
      }
    });
  });
}

TEST_CASE("thread_pool: a function that was told to stop may return what it has, and that is given") {
  thread_pool pool(1);
  in_time([&]() -> task<> {
    const auto count_until_told = [](std::stop_token stop, int step) {
      int count = 0;
      for (; !stop.stop_requested(); count += step) std::this_thread::sleep_for(1ms);
      return count;
    };
    const std::optional<int> count = co_await move_on_after(20ms, pool.run(count_until_told, 2));
    REQUIRE(count.has_value());
    CHECK(*count > 0);
    CHECK(*count % 2 == 0);
  });
}

TEST_CASE("thread_pool: a time limit on a function that heeds its stop_token is kept, and one on another is late") {
  thread_pool pool(2);
  in_time([&]() -> task<> {
    const auto heeds = [](std::stop_token stop) {
      while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
      throw cancelled{};
    };
    bool in_time = false;
    try {
      co_await with_timeout(10ms, pool.run(heeds));
    } catch (const timed_out&) {
      in_time = true;
    }
    CHECK(in_time);
    const bool heedless_finished = co_await move_on_after(200ms, pool.run([] { std::this_thread::sleep_for(400ms); }));
    CHECK(heedless_finished);
  });
}

TEST_CASE("thread_pool: functions that were not cancelled are not told to stop") {
  thread_pool pool(1);
  in_time([&]() -> task<> {
    const bool told = co_await pool.run([](std::stop_token stop) { return stop.stop_requested(); });
    CHECK_FALSE(told);
  });
}

TEST_CASE("thread_pool: results come home whole: values, references, nothing, and what only moves") {
  thread_pool pool(2);
  in_time([&]() -> task<> {
    const int sum = co_await pool.run([](int a, int b) { return a + b; }, 40, 2);
    CHECK(sum == 42);

    int target = 1;
    int& same = co_await pool.run([&]() -> int& { return target; });
    CHECK(&same == &target);

    co_await pool.run([&] { target = 2; });
    CHECK(target == 2);

    box made = co_await pool.run([] { return std::make_unique<int>(7); });
    CHECK(*made == 7);

    const box back = co_await pool.run([](box given) { return given; }, std::move(made));
    CHECK(*back == 7);
    CHECK(made == nullptr);

    const std::string long_text(10'000, 'x');
    const std::size_t size = co_await pool.run([](std::string text) { return text.size(); }, long_text);
    CHECK(size == 10'000);
    CHECK(long_text.size() == 10'000);

    co_await pool.run([](int& changed) { changed = 3; }, std::ref(target));
    CHECK(target == 3);
  });
}

TEST_CASE("thread_pool: a function object that only moves is moved, and destroyed once, on the loop's thread") {
  class moves_only {
   public:
    moves_only(std::thread::id* where, int* count) : where_(where), count_(count) {}
    moves_only(moves_only&& other) noexcept : where_(other.where_), count_(std::exchange(other.count_, nullptr)) {}
    moves_only& operator=(moves_only&&) = delete;
    ~moves_only() {
      if (count_ == nullptr) return;
      ++*count_;
      *where_ = std::this_thread::get_id();
    }
    std::thread::id operator()() { return std::this_thread::get_id(); }

   private:
    std::thread::id* where_;
    int* count_;
  };
  thread_pool pool(1);
  std::thread::id destroyed_on;
  int destroyed = 0;
  in_time([&]() -> task<> {
    moves_only function(&destroyed_on, &destroyed);
    const std::thread::id ran_on = co_await pool.run(owned(std::move(function)));
    CHECK(ran_on != std::this_thread::get_id());
  });
  CHECK(destroyed == 1);
  CHECK(destroyed_on == std::this_thread::get_id());
}

TEST_CASE("thread_pool: what a function throws comes home with its own type, and the worker goes on") {
  thread_pool pool(1);
  in_time([&]() -> task<> {
    for (int round = 0; round < 3; ++round) {
      int caught = 0;
      try {
        co_await pool.run([](int value) { throw odd_error(value); }, round + 10);
      } catch (const odd_error& e) {
        caught = e.value();
      }
      CHECK(caught == round + 10);
      try {
        co_await pool.run([] { throw 5; });
      } catch (int value) {
        caught = value;
      }
      CHECK(caught == 5);
      bool heard = false;
      try {
        const int nothing = co_await pool.run([]() -> int { throw os_error("open", "/no/such", ENOENT); });
        CHECK(nothing == 0);
      } catch (const os_error& e) {
        heard = e.code() == std::errc::no_such_file_or_directory;
      }
      CHECK(heard);
    }
    const int after = co_await pool.run([] { return 1; });
    CHECK(after == 1);
  });
}

TEST_CASE("thread_pool: the error of one function cancels those of its siblings that have not begun") {
  thread_pool pool(1);
  std::atomic<int> ran{0};
  std::string what;
  try {
    in_time([&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          co_await pool.run([] {
            std::this_thread::sleep_for(20ms);
            throw std::runtime_error("the first");
          });
        });
        for (int i = 0; i < 10; ++i) {
          n.spawn([&]() -> task<> {
            co_await pool.run([&] {
              ++ran;
              std::this_thread::sleep_for(1s);
            });
          });
        }
        co_return;
      });
    });
  } catch (const std::runtime_error& e) {
    what = e.what();
  }
  CHECK(what == "the first");
  CHECK(ran <= 1);  // the worker may have taken one before the loop heard of the error
}

TEST_CASE("thread_pool: after shutdown() a function is refused with an error, and the task goes on") {
  thread_pool pool(2);
  pool.shutdown();
  pool.shutdown();
  CHECK(pool.workers() == 2);
  in_time([&]() -> task<> {
    bool refused = false;
    try {
      co_await pool.run([] {});
    } catch (const std::logic_error&) {
      refused = true;
    }
    CHECK(refused);
    CHECK(this_scheduler().stats().offloads == 0);
    co_await sleep_for(1ms);
  });
}

TEST_CASE("thread_pool: shutdown() runs what it has, in the queue and in front of it, and the results come home") {
  thread_pool pool(1, 2);
  gate door;
  int sum = 0;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await pool.run([&] { door.hold(); }); });
      for (int i = 1; i <= 10; ++i) {
        n.spawn(
            [&](int number) -> task<> {
              const int result = co_await pool.run([](int value) { return value; }, number);
              sum += result;
            },
            i);
      }
      co_await until([&] { return door.held() == 1; });
      door.open();
      pool.shutdown();
      CHECK(pool.queued() == 0);
    });
  });
  CHECK(sum == 55);
}

TEST_CASE("thread_pool: shutdown() on another thread does not stop the loop") {
  thread_pool pool(1, 2);
  gate door;
  in_time([&]() -> task<> {
    std::jthread other;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await pool.run([&] { door.hold(); }); });
      co_await until([&] { return door.held() == 1; });
      other = std::jthread([&] { pool.shutdown(); });
      bool refused = false;
      for (int tries = 0; tries < 1000 && !refused; ++tries) {
        try {
          co_await move_on_after(1ms, pool.run([] {}));
        } catch (const std::logic_error&) {
          refused = true;
        }
      }
      CHECK(refused);
      door.open();
    });
  });
}

TEST_CASE("thread_pool: a function may post to the loop and wait for what that gives") {
  thread_pool pool(1);
  in_time([&]() -> task<> {
    int on_the_loop = 0;
    const post_handle loop = this_scheduler().handle();
    const std::thread::id loop_thread = std::this_thread::get_id();
    const int answer = co_await pool.run([&] {
      std::promise<int> told;
      std::future<int> asked = told.get_future();
      const bool accepted =
          loop.post([&] { told.set_value(std::this_thread::get_id() == loop_thread ? ++on_the_loop : -1); });
      return accepted ? asked.get() : -2;
    });
    CHECK(answer == 1);
    CHECK(on_the_loop == 1);
  });
}

TEST_CASE("thread_pool: what a function posted runs before its task goes on") {
  thread_pool pool(1);
  in_time([&]() -> task<> {
    const post_handle loop = this_scheduler().handle();
    for (int round = 0; round < 100; ++round) {
      int posted = 0;
      co_await pool.run([&] {
        for (int i = 0; i < 10; ++i) loop.post([&] { ++posted; });
      });
      REQUIRE(posted == 10);
    }
  });
}

TEST_CASE("thread_pool: outlives its loops, and serves the next one") {
  thread_pool pool(2);
  for (int round = 0; round < 20; ++round) {
    const int result = run([&]() -> task<int> {
      const int got = co_await pool.run([](int value) { return value; }, round);
      co_return got;
    });
    REQUIRE(result == round);
  }
}

TEST_CASE("thread_pool: what is only asked for, and not awaited, does not run, in a loop or without one") {
  thread_pool pool(1);
  std::atomic<int> ran{0};
  const auto count = [&] { ++ran; };
  {
    [[maybe_unused]] auto never_awaited = pool.run(count);
  }
  in_time([&]() -> task<> {
    {
      [[maybe_unused]] auto never_awaited = pool.run(count);
    }
    auto awaited_later = pool.run(count);
    co_await sleep_for(5ms);
    CHECK(ran == 0);
    co_await awaited_later;
    CHECK(ran == 1);
  });
  CHECK(ran == 1);
}

TEST_CASE("thread_pool: one that is never used, or of which nothing is left to do, ends at once") {
  for (int round = 0; round < 50; ++round) thread_pool unused(4);
  in_time([]() -> task<> {
    thread_pool local(2);
    const int one = co_await local.run([] { return 1; });
    CHECK(one == 1);
  });
}

TEST_CASE("thread_pool: without a number given it has a worker a processor") {
  CHECK(thread_pool().workers() == std::max(1u, std::thread::hardware_concurrency()));
}

TEST_CASE("thread_pool: workers take no signals, and the thread that made them still does") {
  thread_pool pool(1);
  const auto blocked = [](int signal) {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return ::sigismember(&mask, signal) == 1;
  };
  in_time([&]() -> task<> {
    for (const int signal : {SIGINT, SIGTERM, SIGALRM, SIGUSR1}) {
      const bool on_worker = co_await pool.run(blocked, signal);
      CHECK(on_worker);
      CHECK_FALSE(blocked(signal));
    }
  });
}

TEST_CASE("thread_pool: a task that waits for a function shows it in the dump, and is in no deadlock") {
  thread_pool pool(1);
  gate door;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("worker's client"), [&]() -> task<> { co_await pool.run([&] { door.hold(); }); });
      co_await until([&] { return door.held() == 1; });
      const std::string dump = dump_tasks();
      CHECK_THAT(dump, kit::contains("worker's client"));
      CHECK_THAT(dump, kit::contains("offload a function"));
      door.open();
    });
  });
}

TEST_CASE("thread_pool: workers with nothing to do use no processor time, also right after many functions") {
  thread_pool pool(3);
  in_time([&]() -> task<> {
    for (int i = 0; i < 300; ++i) co_await pool.run([] {});
    const std::clock_t before = std::clock();
    co_await sleep_for(100ms);
    CHECK(std::clock() - before < CLOCKS_PER_SEC / 50);
  });
}

TEST_CASE("thread_pool: thousands of tasks at once, through a short queue") {
  thread_pool pool(2, 1);
  std::uint64_t sum = 0;
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (std::uint64_t i = 1; i <= 5000; ++i) {
        n.spawn(
            [&](std::uint64_t number) -> task<> {
              const std::uint64_t result = co_await pool.run([](std::uint64_t value) { return value; }, number);
              sum += result;
            },
            i);
      }
      co_return;
    });
  });
  CHECK(sum == 5000u * 5001 / 2);
}
