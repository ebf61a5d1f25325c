// Tests on the kernel: several loops at a time begin together, share nothing, and end together.
#include "kernel.hpp"

#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

using namespace kernel;

// Why no CHECK in the loops: the test framework counts on one thread only.

namespace {

/// What the loops of a test tell each other and the test.
class meeting {
 public:
  explicit meeting(int loops) : loops_(loops) {}

  /// Waits until all loops have called it, also when some of them are cancelled meanwhile. Bounded by the time limit.
  task<> everybody() {
    ++here_;
    const auto end = std::chrono::steady_clock::now() + time_limit;
    while (here_ < loops_ && std::chrono::steady_clock::now() < end) co_await shield(sleep_for(1ms));
    if (here_ < loops_) throw std::runtime_error("somebody did not come");
  }

  /// Waits to be cancelled, and counts who was.
  task<> wait_for_the_end() {
    try {
      co_await sleep_for(time_limit);
    } catch (const cancelled&) {
      ++cancelled_loops;
      throw;
    }
  }

  std::atomic<int> cancelled_loops{0};

 private:
  int loops_;
  std::atomic<int> here_{0};
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing was thrown";
}

/// Puts a resource limit back.
class limited {
 public:
  limited(__rlimit_resource_t what, rlim_t most) : what_(what) {
    ::getrlimit(what_, &before_);
    const rlimit now{most, before_.rlim_max};
    ::setrlimit(what_, &now);
  }
  limited(const limited&) = delete;
  limited& operator=(const limited&) = delete;
  ~limited() { ::setrlimit(what_, &before_); }

 private:
  __rlimit_resource_t what_;
  rlimit before_{};
};

}  // namespace

TEST_CASE("run_on_threads: results come in the order of the threads, each of which knows its index") {
  const auto body = [](std::size_t factor) -> task<std::size_t> {
    co_await sleep_for(std::chrono::milliseconds(4 - thread_index()));
    co_return factor* thread_index();
  };
  const std::vector<std::size_t> results = run_on_threads(4, body, std::size_t{10});
  CHECK(results == std::vector<std::size_t>{0, 10, 20, 30});
  CHECK(thread_index() == 0);
}

TEST_CASE("run_on_threads: a task without a result gives nothing, and one that only moves comes home whole") {
  static_assert(std::is_void_v<decltype(run_on_threads(1, []() -> task<> { co_return; }))>);
  const auto body = []() -> task<std::unique_ptr<std::size_t>> {
    co_return std::make_unique<std::size_t>(thread_index());
  };
  const std::vector<std::unique_ptr<std::size_t>> results = run_on_threads(3, body);
  REQUIRE(results.size() == 3);
  for (std::size_t index = 0; index < 3; ++index) CHECK(*results[index] == index);
}

TEST_CASE("run_on_threads: every loop has a thread, a scheduler and a copy of the arguments of its own") {
  std::mutex guard;
  std::set<std::thread::id> threads{std::this_thread::get_id()};
  std::set<const void*> schedulers, arguments;
  meeting all(3);
  const auto body = [&](std::string argument) -> task<> {
    {
      const std::lock_guard lock(guard);
      threads.insert(std::this_thread::get_id());
      schedulers.insert(&this_scheduler());
      arguments.insert(&argument);
    }
    co_await all.everybody();
    argument += "changed";
    if (argument != "given and changed") throw std::runtime_error(argument);
  };
  run_on_threads(3, body, std::string("given and "));
  CHECK(threads.size() == 4);
  CHECK(schedulers.size() == 3);
  CHECK(arguments.size() == 3);
}

TEST_CASE("run_on_threads: the function and the arguments are copied before any loop begins, and destroyed") {
  static std::atomic<int> alive;
  static std::atomic<int> copied_elsewhere;
  static std::thread::id here;
  class counted {
   public:
    counted() { ++alive; }
    counted(const counted&) {
      ++alive;
      if (std::this_thread::get_id() != here) ++copied_elsewhere;
    }
    counted(counted&&) noexcept { ++alive; }
    ~counted() { --alive; }
  };
  alive = copied_elsewhere = 0;
  here = std::this_thread::get_id();
  run_on_threads(4, [captured = counted()](counted, const counted&) -> task<> { co_return; }, counted(), counted());
  CHECK(alive == 0);
  CHECK(copied_elsewhere == 0);
}

TEST_CASE("run_on_threads: loops do I/O, sleep and offload side by side") {
  const auto body = []() -> task<int> {
    connection ends = co_await connect_pair();
    int sum = 0;
    for (int round = 0; round < 50; ++round) {
      co_await ends.client.write_all("ping");
      std::byte got[4];
      co_await ends.server.read_exactly(got);
      const int one = co_await offload([] { return 1; });
      sum += one;
    }
    co_await sleep_for(1ms);
    co_return sum;
  };
  CHECK(run_on_threads(3, body) == std::vector<int>{50, 50, 50});
}

TEST_CASE("run_on_threads: the first error cancels the other loops, and is thrown when they have ended") {
  meeting all(3);
  std::atomic<int> cleaned_up{0};
  const auto body = [&]() -> task<> {
    co_await all.everybody();
    if (thread_index() == 1) throw std::runtime_error("the first");
    const auto clean_up = [&]() -> task<> {
      co_await sleep_for(5ms);
      ++cleaned_up;
    };
    co_await finally(all.wait_for_the_end(), clean_up);
  };
  CHECK(message_of([&] { run_on_threads(3, body); }) == "the first");
  CHECK(all.cancelled_loops == 2);
  CHECK(cleaned_up == 2);
}

TEST_CASE("run_on_threads: an error keeps its type, and those that come after it are dropped") {
  meeting all(3);
  const auto body = [&]() -> task<int> {
    co_await all.everybody();
    if (thread_index() == 2) throw std::out_of_range("the first");
    try {
      co_await all.wait_for_the_end();
    } catch (const cancelled&) {
      throw std::runtime_error("a later one");
    }
    co_return 0;
  };
  CHECK_THROWS_AS(run_on_threads(3, body), std::out_of_range);
  CHECK(all.cancelled_loops == 2);
}

TEST_CASE("run_on_threads: an error reaches a loop that blocks, and one whose task has not begun to wait") {
  for (int round = 0; round < 50; ++round) {
    const auto body = []() -> task<> {
      if (thread_index() == 0) throw std::runtime_error("at once");
      co_await sleep_for(time_limit);
    };
    REQUIRE(message_of([&] { run_on_threads(3, body); }) == "at once");
  }
}

TEST_CASE(
    "run_on_threads: what a body throws before its first await, or instead of giving a task, is an error as well") {
  const auto throws = [](bool) -> task<> { throw std::runtime_error("not even a task"); };
  const auto no_coroutine = [&](bool x) -> task<> { return throws(x); };
  CHECK(message_of([&] { run_on_threads(2, no_coroutine, true); }) == "not even a task");
}

TEST_CASE("run_on_threads: a deadlock of one loop is found, and names its task") {
  meeting all(2);
  const auto body = [&]() -> task<> {
    co_await all.everybody();
    if (thread_index() == 0) co_await all.wait_for_the_end();
    event never_set;
    co_await never_set.wait();
  };
  const std::string what = message_of([&] { run_on_threads(2, body); });
  CHECK_THAT(what, kit::contains("deadlock"));
  CHECK_THAT(what, kit::contains("wait for an event"));
  CHECK(all.cancelled_loops == 1);
}

TEST_CASE(
    "run_on_threads: a deadlock is also found where the task has asked for its scheduler, and others have ended") {
  const auto body = []() -> task<> {
    this_scheduler().stats();
    if (thread_index() == 0) co_return;
    event never_set;
    co_await never_set.wait();
  };
  CHECK_THROWS_AS(run_on_threads(2, body), deadlock_error);
  CHECK_THROWS_AS(run_on_threads(1,
                                 []() -> task<> {
                                   this_scheduler().stats();
                                   event never_set;
                                   co_await never_set.wait();
                                 }),
                  deadlock_error);
}

TEST_CASE("run_on_threads: a loop that ends early leaves the others alone") {
  const auto body = []() -> task<int> {
    if (thread_index() != 0) co_await sleep_for(20ms);
    co_return 1;
  };
  CHECK(run_on_threads(3, body) == std::vector<int>{1, 1, 1});
}

TEST_CASE("run_on_threads: less than one thread is refused with an error that says how many were asked for") {
  const auto body = []() -> task<> { co_return; };
  for (const int count : {0, -1, std::numeric_limits<int>::min()}) {
    CHECK_THROWS_AS(run_on_threads(count, body), std::invalid_argument);
    CHECK_THAT(message_of([&] { run_on_threads(count, body); }), kit::contains(std::to_string(count)));
  }
}

TEST_CASE("run_on_threads: options that belong to one loop are refused, and the others hold for all") {
  virtual_clock clock;
  const auto body = []() -> task<> { co_return; };
  CHECK_THROWS_AS(run_on_threads(options().clock(clock), 2, body), std::invalid_argument);
  std::atomic<int> stalls{0};
  run_on_threads(options().entries(8).seed(1).stall_warning(1ms, [&](std::string_view) { ++stalls; }), 2,
                 []() -> task<> {
                   std::this_thread::sleep_for(20ms);
                   co_return;
                 });
  CHECK(stalls >= 2);
}

TEST_CASE("run_on_threads: inside run() it is refused, and on a worker thread it is not") {
  const auto body = []() -> task<int> { co_return 1; };
  in_time([&]() -> task<> {
    CHECK_THROWS_AS(run_on_threads(2, body), std::logic_error);
    const std::vector<int> results = co_await offload([&] { return run_on_threads(2, body); });
    CHECK(results == std::vector<int>{1, 1});
  });
}

TEST_CASE("run_on_threads: where a ring cannot be set up no body runs, and the error names the step") {
  std::atomic<int> began{0};
  const auto body = [&]() -> task<> {
    ++began;
    co_await sleep_for(time_limit);
  };
  // Each loop needs an event and a ring: there is room for the first ones only.
  const limited descriptors(RLIMIT_NOFILE, static_cast<rlim_t>(open_descriptors().size() + 6));
  const std::string what = message_of([&] { run_on_threads(64, body); });
  const bool named = what.find("eventfd") != std::string::npos || what.find("io_uring_setup") != std::string::npos;
  INFO(what);
  CHECK(named);
  CHECK(began == 0);
}

TEST_CASE("run_on_threads: handle_signals() cancels the tasks of all loops, whichever thread gets the signal") {
  for (const int signal : {SIGINT, SIGTERM}) {
    for (std::size_t where = 0; where < 3; ++where) {
      meeting all(3);
      run_on_threads(options().handle_signals(), 3, [&]() -> task<> {
        co_await all.everybody();
        if (thread_index() == where) ::raise(signal);
        co_await all.wait_for_the_end();
      });
      REQUIRE(all.cancelled_loops == 3);
    }
  }
}

TEST_CASE("run_on_threads: a signal to the process is handled as long as one loop runs") {
  meeting all(3);
  run_on_threads(options().handle_signals(), 3, [&]() -> task<> {
    co_await all.everybody();
    if (thread_index() != 2) co_return;
    co_await sleep_for(20ms);
    ::kill(::getpid(), SIGTERM);
    co_await all.wait_for_the_end();
  });
  CHECK(all.cancelled_loops == 1);
}

TEST_CASE("run_on_threads: a task without a result when a signal comes is task_cancelled, as of run()") {
  meeting all(2);
  const auto body = [&]() -> task<int> {
    co_await all.everybody();
    if (thread_index() == 0) {
      ::raise(SIGINT);
      co_return 1;
    }
    co_await all.wait_for_the_end();
    co_return 2;
  };
  CHECK_THROWS_AS(run_on_threads(options().handle_signals(), 2, body), task_cancelled);
}

TEST_CASE("run_on_threads: an error wins over the signal that came before it") {
  meeting all(2);
  const auto body = [&]() -> task<int> {
    co_await all.everybody();
    if (thread_index() == 0) ::raise(SIGINT);
    try {
      co_await all.wait_for_the_end();
    } catch (const cancelled&) {
      if (thread_index() == 0) throw;
      throw std::runtime_error("not in order");
    }
    co_return 0;
  };
  CHECK(message_of([&] { run_on_threads(options().handle_signals(), 2, body); }) == "not in order");
}

TEST_CASE("run_on_threads: while it handles signals another run() that asks for them is refused, and later it is not") {
  std::atomic<int> refused{0};
  const auto empty = []() -> task<> { co_return; };
  const auto body = [&]() -> task<> {
    co_await offload([&] {
      try {
        run(options().handle_signals(), empty);
      } catch (const std::logic_error&) {
        ++refused;
      }
    });
  };
  run_on_threads(options().handle_signals(), 2, body);
  CHECK(refused == 2);
  run(options().handle_signals(), empty);
  run_on_threads(options().handle_signals(), 2, empty);
}

TEST_CASE("run_on_threads: signals at any moment end it in good order") {
  for (int round = 0; round < 40; ++round) {
    std::atomic<bool> over{false};
    const pthread_t caller = ::pthread_self();
    // Handled from outside, too: the signal may come before the loops' handler is there, or when it has gone.
    struct sigaction ignore{}, before{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGTERM, &ignore, &before);
    std::jthread other([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(50 * round));
      ::pthread_kill(caller, SIGTERM);
      over = true;
    });
    run_on_threads(options().handle_signals(), 3, [&]() -> task<> {
      while (!over) co_await sleep_for(1ms);
    });
    other.join();
    ::sigaction(SIGTERM, &before, nullptr);
  }
}

TEST_CASE("run_on_threads: many short groups one after the other, and several at a time") {
  for (int round = 0; round < 30; ++round) {
    const auto body = []() -> task<int> { co_return 1; };
    std::jthread other([&] { run_on_threads(2, body); });
    REQUIRE(run_on_threads(3, body).size() == 3);
  }
}
