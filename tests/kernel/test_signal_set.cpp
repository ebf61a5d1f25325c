// Tests on the kernel of signal.hpp: signals come out of next() as numbers, none is lost, and handlers are put back.
#include "handlers.hpp"
#include "kernel.hpp"

#include <atomic>
#include <csignal>
#include <map>
#include <optional>
#include <stdexcept>
#include <thread>

#include <signal.h>

using namespace kernel;

namespace {

std::atomic<int> times_handled{0};
void count_it(int) {
  ++times_handled;
}

template <class Error, class... Signals>
void expect_refusal(Signals... signals) {
  CHECK_THROWS_AS(signal_set(signals...), Error);
}

}  // namespace

TEST_CASE("signal_set: a signal that has come before next() is given at once") {
  in_time([]() -> task<> {
    signal_set stops(SIGINT, SIGTERM);
    ::raise(SIGTERM);
    const int signal = co_await stops.next();
    CHECK(signal == SIGTERM);
  });
}

TEST_CASE("signal_set: a signal wakes a loop that blocks, whatever thread gets it") {
  const pthread_t loop = ::pthread_self();
  for (const bool on_loop : {true, false}) {
    in_time([&]() -> task<> {
      signal_set stops(SIGINT);
      std::jthread other([&] {
        std::this_thread::sleep_for(30ms);
        on_loop ? ::pthread_kill(loop, SIGINT) : ::raise(SIGINT);
      });
      const int signal = co_await stops.next();
      CHECK(signal == SIGINT);
    });
  }
}

TEST_CASE("signal_set: a task that waits for a signal is in no deadlock, and is shown as waiting for it") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1);
    std::string shown;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await users.next(); });
      co_await sleep_for(1ms);
      shown = dump_tasks();
      ::raise(SIGUSR1);
    });
    CHECK(shown.find("wait for a signal") != std::string::npos);
  });
  std::jthread other;
  run([&]() -> task<> {
    signal_set users(SIGUSR1);
    other = std::jthread([] {
      std::this_thread::sleep_for(50ms);
      ::kill(::getpid(), SIGUSR1);
    });
    co_await users.next();
  });
}

TEST_CASE("signal_set: every signal that the kernel delivers is counted, while nobody waits") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1, SIGUSR2, SIGRTMIN);
    for (int i = 0; i < 100; ++i) {
      ::raise(SIGUSR1);  // delivered before raise() returns
      if (i % 2 == 0) ::raise(SIGUSR2);
      if (i % 5 == 0) ::raise(SIGRTMIN);
    }
    std::map<int, int> seen;
    for (int i = 0; i < 170; ++i) ++seen[co_await users.next()];
    CHECK(seen[SIGUSR1] == 100);
    CHECK(seen[SIGUSR2] == 50);
    CHECK(seen[SIGRTMIN] == 20);
    const std::optional<int> one_more = co_await move_on_after(20ms, users.next());
    CHECK(!one_more);
  });
}

TEST_CASE("signal_set: signals of several kinds take turns, so that none has to wait for all of another") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1, SIGUSR2);
    for (int i = 0; i < 10; ++i) {
      ::raise(SIGUSR1);
      ::raise(SIGUSR2);
    }
    int before = 0;
    for (int i = 0; i < 20; ++i) {
      const int signal = co_await users.next();
      CHECK(signal != before);
      before = signal;
    }
  });
}

TEST_CASE("signal_set: of several tasks that wait each signal wakes one, and all of them get their turn") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1);
    int woken = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 8; ++i) {
        n.spawn([&]() -> task<> {
          co_await users.next();
          ++woken;
        });
      }
      co_await sleep_for(5ms);
      ::raise(SIGUSR1);
      co_await sleep_for(20ms);
      CHECK(woken == 1);
      for (int i = 0; i < 7; ++i) ::raise(SIGUSR1);
    });
    CHECK(woken == 8);
  });
}

TEST_CASE("signal_set: none is lost while four threads of the process raise signals") {
  constexpr int each = 500;
  in_time([]() -> task<> {
    signal_set users(SIGUSR1, SIGUSR2);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([i] {
        for (int n = 0; n < each; ++n) ::raise(i % 2 == 0 ? SIGUSR1 : SIGUSR2);
      });
    }
    std::map<int, int> seen;
    for (int i = 0; i < 4 * each; ++i) ++seen[co_await users.next()];
    CHECK(seen[SIGUSR1] == 2 * each);
    CHECK(seen[SIGUSR2] == 2 * each);
  });
}

TEST_CASE("signal_set: a cancelled wait takes no signal, and the next one gets it") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1);
    for (int i = 0; i < 20; ++i) {
      const std::optional<int> early = co_await move_on_after(1ms, users.next());
      REQUIRE(!early);
      ::raise(SIGUSR1);
      const int signal = co_await users.next();
      REQUIRE(signal == SIGUSR1);
    }
  });
}

TEST_CASE("signal_set: a task that is cancelled already takes no signal") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1);
    ::raise(SIGUSR1);
    bool went_on = false;
    cancel_scope scope;
    co_await scope.run([&]() -> task<> {
      scope.cancel();
      co_await users.next();
      went_on = true;
    });
    CHECK(!went_on);
    const int signal = co_await users.next();
    CHECK(signal == SIGUSR1);
  });
}

TEST_CASE("signal_set: a signal that comes at the moment of a time limit is given or kept, never lost") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1);
    for (int i = 0; i < 50; ++i) {
      std::jthread other([&] {
        std::this_thread::sleep_for(1ms);
        ::raise(SIGUSR1);
      });
      std::optional<int> given = co_await move_on_after(1ms, users.next());
      if (!given) given = co_await users.next();
      REQUIRE(*given == SIGUSR1);
    }
  });
}

TEST_CASE("signal_set: the handlers of before are put back at its end, and another set may follow") {
  const handled interrupt(SIGINT, count_it);
  const handled terminate(SIGTERM, SIG_IGN);
  times_handled = 0;
  for (int round = 0; round < 3; ++round) {
    in_time([]() -> task<> {
      signal_set stops(SIGINT, SIGTERM);
      CHECK(disposition_of(SIGTERM).sa_handler != SIG_IGN);
      ::raise(SIGINT);
      co_await stops.next();
    });
    REQUIRE(disposition_of(SIGINT).sa_handler == count_it);
    REQUIRE(disposition_of(SIGTERM).sa_handler == SIG_IGN);
  }
  CHECK(times_handled == 0);
}

TEST_CASE("signal_set: a signal that nobody has taken is raised again for the handler of before, once") {
  const handled user(SIGUSR1, count_it);
  times_handled = 0;
  {
    signal_set users(SIGUSR1);
    for (int i = 0; i < 3; ++i) ::raise(SIGUSR1);
    CHECK(times_handled == 0);
  }
  CHECK(times_handled == 1);
  in_time([]() -> task<> {
    signal_set users(SIGUSR1);
    ::raise(SIGUSR1);
    co_await users.next();
  });
  CHECK(times_handled == 1);
}

TEST_CASE("signal_set: a signal has one set at a time, and whoever is refused changes nothing") {
  in_time([]() -> task<> {
    signal_set users(SIGUSR1);
    expect_refusal<std::logic_error>(SIGUSR1);
    expect_refusal<std::logic_error>(SIGUSR2, SIGUSR1);
    CHECK(disposition_of(SIGUSR2).sa_handler == SIG_DFL);
    signal_set others(SIGUSR2);
    ::raise(SIGUSR2);
    ::raise(SIGUSR1);
    const int first = co_await users.next();
    CHECK(first == SIGUSR1);
    const int second = co_await others.next();
    CHECK(second == SIGUSR2);
  });
}

TEST_CASE("signal_set: not beside handle_signals() for the same signal, and beside it for another") {
  bool was_cancelled = false;
  run(options().handle_signals(), [&]() -> task<> {
    expect_refusal<std::logic_error>(SIGINT);
    expect_refusal<std::logic_error>(SIGUSR1, SIGTERM);
    signal_set reload(SIGHUP);
    ::raise(SIGHUP);
    const int signal = co_await reload.next();
    CHECK(signal == SIGHUP);
    ::raise(SIGTERM);
    try {
      co_await reload.next();
    } catch (const cancelled&) {
      was_cancelled = true;
      throw;
    }
  });
  CHECK(was_cancelled);
  signal_set stops(SIGINT);
  CHECK_THROWS_AS(run(options().handle_signals(), []() -> task<> { co_return; }), std::logic_error);
}

TEST_CASE("signal_set: the error of a second user names the signal and both of them") {
  std::string text;
  signal_set stops(SIGINT);
  try {
    run(options().handle_signals(), []() -> task<> { co_return; });
  } catch (const std::logic_error& e) {
    text = e.what();
  }
  CHECK(text == "handle_signals(): signal 2 (Interrupt) is handled by signal_set already");
}

TEST_CASE("signal_set: what cannot be waited for is refused") {
  for (const int signal :
       {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, 0, -1, 32, 65}) {
    INFO(signal);
    expect_refusal<std::invalid_argument>(signal);
    expect_refusal<std::invalid_argument>(SIGUSR1, signal);
  }
  expect_refusal<std::invalid_argument>(SIGUSR1, SIGUSR1);
  CHECK_THROWS_AS(signal_set(std::span<const int>()), std::invalid_argument);
  CHECK(disposition_of(SIGUSR1).sa_handler == SIG_DFL);
}

TEST_CASE("signal_set: SIGCHLD tells of children, and process::run beside it misses none of its own") {
  in_time([]() -> task<> {
    signal_set children(SIGCHLD);
    for (int i = 0; i < 5; ++i) {
      const process::completed done = co_await process::run(process::sh("exit 7"));
      CHECK(done.status.code() == 7);
      const int signal = co_await children.next();
      CHECK(signal == SIGCHLD);
    }
  });
}

TEST_CASE("signal_set: a child process starts without the handlers and with the signal unblocked") {
  in_time([]() -> task<> {
    signal_set stops(SIGTERM);
    const process::completed done = co_await process::run(process::sh("kill -TERM $$; sleep 10"));
    CHECK(done.status.signaled());
    CHECK(done.status.signal() == SIGTERM);
  });
}

TEST_CASE("signal_set: works on a second loop while the first one runs") {
  std::jthread([] {
    in_time([]() -> task<> {
      signal_set users(SIGUSR1);
      ::raise(SIGUSR1);
      const int signal = co_await users.next();
      CHECK(signal == SIGUSR1);
    });
  }).join();
}
