// Tests on the kernel: SIGINT and SIGTERM end the root task in good order, and the process gets its signals back.
#include "handlers.hpp"
#include "kernel.hpp"

#include <atomic>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include <signal.h>
#include <sys/time.h>

using namespace kernel;

namespace {

std::atomic<int> times_handled{0};
void count_it(int) {
  ++times_handled;
}

/// SIGALRM every millisecond, to a handler that lets system calls be interrupted.
class alarms {
 public:
  alarms() : handler_(SIGALRM, count_it) {
    times_handled = 0;
    set_every(1000);
  }
  alarms(const alarms&) = delete;
  alarms& operator=(const alarms&) = delete;
  ~alarms() { set_every(0); }

 private:
  static void set_every(int microseconds) {
    const itimerval interval{{0, microseconds}, {0, microseconds}};
    ::setitimer(ITIMER_REAL, &interval, nullptr);
  }
  handled handler_;
};

/// Waits until it is cancelled, or for too long.
task<> wait_for_cancel(bool& was_cancelled) {
  try {
    co_await sleep_for(time_limit);
  } catch (const cancelled&) {
    was_cancelled = true;
    throw;
  }
}

task<> raise_and_wait(int signal, bool& was_cancelled) {
  ::raise(signal);
  co_await wait_for_cancel(was_cancelled);
}

}  // namespace

TEST_CASE("handle_signals: SIGINT and SIGTERM cancel the root task, and run() of a task without a result returns") {
  for (const int signal : {SIGINT, SIGTERM}) {
    bool was_cancelled = false;
    run(options().handle_signals(), [&] { return raise_and_wait(signal, was_cancelled); });
    CHECK(was_cancelled);
  }
}

TEST_CASE("handle_signals: a signal wakes a loop that blocks") {
  for (const int signal : {SIGINT, SIGTERM}) {
    bool was_cancelled = false;
    const pthread_t loop = ::pthread_self();
    std::jthread other([&] {
      std::this_thread::sleep_for(30ms);
      ::pthread_kill(loop, signal);
    });
    run(options().handle_signals(), [&] { return wait_for_cancel(was_cancelled); });
    CHECK(was_cancelled);
  }
}

TEST_CASE("handle_signals: one that another thread of the process gets reaches the loop") {
  bool was_cancelled = false;
  std::jthread other([&] {
    std::this_thread::sleep_for(30ms);
    ::raise(SIGTERM);
  });
  run(options().handle_signals(), [&] { return wait_for_cancel(was_cancelled); });
  CHECK(was_cancelled);
}

TEST_CASE("handle_signals: every task below the root is cancelled, and cleans up before run() returns") {
  int cleaned_up = 0;
  run(options().handle_signals(), [&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) {
        n.spawn([&]() -> task<> {
          const auto clean_up = [&]() -> task<> {
            co_await sleep_for(5ms);
            ++cleaned_up;
          };
          co_await finally(sleep_for(time_limit), clean_up);
        });
      }
      co_await sleep_for(5ms);
      ::raise(SIGINT);
    });
  });
  CHECK(cleaned_up == 10);
}

TEST_CASE("handle_signals: a root task that had no result yet makes run() throw task_cancelled") {
  const auto waits = []() -> task<int> {
    ::raise(SIGTERM);
    co_await sleep_for(time_limit);
    co_return 1;
  };
  CHECK_THROWS_AS(run(options().handle_signals(), waits), task_cancelled);
}

TEST_CASE("handle_signals: a root task that catches `cancelled` may still give its result") {
  const int result = run(options().handle_signals(), []() -> task<int> {
    ::raise(SIGTERM);
    int code = 0;
    try {
      co_await sleep_for(time_limit);
    } catch (const cancelled&) {
      code = 3;
    }
    co_return code;
  });
  CHECK(result == 3);
}

TEST_CASE("handle_signals: a root task that ends by itself gives its result although a signal has come") {
  const int result = run(options().handle_signals(), []() -> task<int> {
    ::raise(SIGINT);
    co_return 7;
  });
  CHECK(result == 7);
}

TEST_CASE("handle_signals: what the root task throws comes out, and not the signal") {
  const auto throws = []() -> task<> {
    ::raise(SIGINT);
    try {
      co_await sleep_for(time_limit);
    } catch (const cancelled&) {
      throw std::runtime_error("not in order");
    }
  };
  CHECK_THROWS_AS(run(options().handle_signals(), throws), std::runtime_error);
}

TEST_CASE("handle_signals: works again in the next run(), and one signal does not count for two runs") {
  for (int round = 0; round < 10; ++round) {
    bool was_cancelled = false;
    run(options().handle_signals(), [&] { return raise_and_wait(round % 2 == 0 ? SIGINT : SIGTERM, was_cancelled); });
    REQUIRE(was_cancelled);
    bool slept = false;
    run(options().handle_signals(), [&]() -> task<> {
      co_await sleep_for(1ms);
      slept = true;
    });
    REQUIRE(slept);
  }
}

TEST_CASE("handle_signals: handlers are set during run() only, and those of before are put back") {
  const handled interrupt(SIGINT, count_it);
  const handled terminate(SIGTERM, SIG_IGN);
  times_handled = 0;
  bool was_cancelled = false;
  run(options().handle_signals(), [&]() -> task<> {
    CHECK(disposition_of(SIGINT).sa_handler != count_it);
    CHECK(disposition_of(SIGTERM).sa_handler != SIG_IGN);
    auto waiting = raise_and_wait(SIGINT, was_cancelled);
    co_await std::move(waiting);
  });
  CHECK(was_cancelled);
  CHECK(times_handled == 0);
  CHECK(disposition_of(SIGTERM).sa_handler == SIG_IGN);
  ::raise(SIGINT);
  ::raise(SIGTERM);
  CHECK(times_handled == 1);
}

TEST_CASE("handle_signals: handlers are put back when the root task throws, too") {
  const handled interrupt(SIGINT, count_it);
  const auto throws = []() -> task<> {
    throw std::runtime_error("at once");
    co_return;
  };
  CHECK_THROWS_AS(run(options().handle_signals(), throws), std::runtime_error);
  CHECK(disposition_of(SIGINT).sa_handler == count_it);
}

TEST_CASE("handle_signals: without it run() leaves SIGINT and SIGTERM alone") {
  const handled interrupt(SIGINT, count_it);
  const handled terminate(SIGTERM, count_it);
  times_handled = 0;
  in_time([]() -> task<> {
    ::raise(SIGINT);
    ::raise(SIGTERM);
    co_await sleep_for(1ms);
  });
  CHECK(times_handled == 2);
}

TEST_CASE("handle_signals: a second loop that asks for it at the same time is refused, and the first goes on") {
  bool refused = false;
  bool was_cancelled = false;
  run(options().handle_signals(), [&]() -> task<> {
    std::jthread([&] {
      try {
        run(options().handle_signals(), []() -> task<> { co_return; });
      } catch (const std::logic_error&) {
        refused = true;
      }
    }).join();
    auto waiting = raise_and_wait(SIGTERM, was_cancelled);
    co_await std::move(waiting);
  });
  CHECK(refused);
  CHECK(was_cancelled);
}

TEST_CASE("handle_signals: only the loop that asked for it is cancelled") {
  bool was_cancelled = false;
  std::atomic<bool> other_runs{false};
  std::atomic<bool> over{false};
  bool other_finished = false;
  std::jthread other([&] {
    run([&]() -> task<> {
      other_runs = true;
      while (!over) co_await sleep_for(1ms);
      other_finished = true;
    });
  });
  run(options().handle_signals(), [&]() -> task<> {
    while (!other_runs) co_await sleep_for(1ms);
    auto waiting = raise_and_wait(SIGINT, was_cancelled);
    co_await std::move(waiting);
  });
  over = true;
  other.join();
  CHECK(was_cancelled);
  CHECK(other_finished);
}

TEST_CASE("handle_signals: a function on a thread that heeds its stop_token is told by the signal") {
  thread_pool pool(1);
  std::atomic<bool> began{false};
  std::atomic<bool> told{false};
  run(options().handle_signals(), [&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await pool.run([&](std::stop_token stop) {
          began = true;
          while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
          told = true;
        });
      });
      while (!began) co_await sleep_for(1ms);
      ::raise(SIGINT);
    });
  });
  CHECK(told);
}

TEST_CASE("sigpipe: run() ignores it where nobody has said what it shall do") {
  const handled by_default(SIGPIPE, SIG_DFL);
  in_time([]() -> task<> {
    pipe_ends pipe = plain_pipe();
    pipe.read.reset();
    co_await expect_error(EPIPE, [&]() -> task<> { co_await write_some(pipe.write.get(), bytes_of("x")); });
  });
}

TEST_CASE("sigpipe: run() leaves a handler of the program's in place, and keep_sigpipe() also the default") {
  {
    const handled counted(SIGPIPE, count_it);
    in_time([]() -> task<> { co_return; });
    CHECK(disposition_of(SIGPIPE).sa_handler == count_it);
  }
  {
    const handled by_default(SIGPIPE, SIG_DFL);
    in_time(options().keep_sigpipe(), []() -> task<> { co_return; });
    CHECK(disposition_of(SIGPIPE).sa_handler == SIG_DFL);
  }
}

TEST_CASE("sigpipe: a stream whose peer has gone raises none, although keep_sigpipe() has left it deadly") {
  const handled by_default(SIGPIPE, SIG_DFL);
  in_time(options().keep_sigpipe(), []() -> task<> {
    connection ends = co_await connect_pair();
    ends.server.reset_on_close();
    co_await ends.server.close();
    int error = 0;
    for (int tries = 0; tries < 100 && error == 0; ++tries) {
      error = co_await error_of([&]() -> task<> { co_await ends.client.write_all("x"); });
    }
    CHECK((error == EPIPE || error == ECONNRESET));
    const int again = co_await error_of([&]() -> task<> { co_await ends.client.write_all("x"); });
    CHECK(again == EPIPE);
  });
}

TEST_CASE("signals: a handler that interrupts the loop every millisecond changes nothing") {
  const alarms noise;
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    const std::string sent(4 << 20, 'x');
    std::string got(sent.size(), ' ');
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await ends.client.write_all(sent); });
      n.spawn([&]() -> task<> { co_await ends.server.read_exactly(std::as_writable_bytes(std::span(got))); });
      n.spawn([&]() -> task<> {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 50; ++i) co_await sleep_for(2ms);
        const auto took = std::chrono::steady_clock::now() - start;
        CHECK(took >= 100ms);
      });
      for (int i = 0; i < 20; ++i) {
        const int result = co_await offload([](int value) { return value; }, i);
        CHECK(result == i);
      }
    });
    CHECK(got == sent);
  });
  CHECK(times_handled > 10);
}
