// Tests of a running child: a dialogue, waiting, signals, and what becomes of one that nobody waits for.
#include "process.hpp"

#include <chrono>

#include <unistd.h>

using namespace processes;

namespace {

cmd dialogue() {
  return cmd("cat").in(stdio::pipe()).out(stdio::pipe());
}

cmd sleeper() {
  return cmd("sleep", "60");
}

}  // namespace

TEST_CASE("child: a dialogue, line by line, through its pipes") {
  in_time([]() -> task<> {
    process::child bc = co_await process::spawn(dialogue());
    line_reader answers(bc.out());
    for (int i = 0; i < 100; ++i) {
      const std::string question = "question " + std::to_string(i);
      co_await bc.in().write_all(question + "\n");
      const auto answer = co_await answers.next();
      CHECK(answer == question);
    }
    co_await bc.in().close();
    const auto rest = co_await answers.next();
    CHECK_FALSE(rest);
    const process::status end = co_await bc.wait();
    CHECK(end.ok());
  });
}

TEST_CASE("child: poll() tells whether it has ended, and any number of tasks may wait for that, and again") {
  in_time([]() -> task<> {
    process::child late = co_await process::spawn(cmd("/bin/sh", "-c", "sleep 0.2; exit 5"));
    CHECK_FALSE(late.poll());
    int told = 0;
    auto waiting = [&]() -> task<> {
      const process::status end = co_await late.wait();
      if (end.code() == 5) ++told;
    };
    auto all = [&](nursery& n) -> task<> {
      for (int i = 0; i < 20; ++i) n.spawn([&] { return waiting(); });
      co_return;
    };
    co_await with_nursery(all);
    CHECK(told == 20);
    CHECK(late.poll() == process::status::of_exit(5));
    const process::status again = co_await late.wait();
    CHECK(again.code() == 5);
  });
}

TEST_CASE("child: a wait that is cancelled leaves it running, and a later one gets its status") {
  in_time([]() -> task<> {
    process::child late = co_await process::spawn(cmd("/bin/sh", "-c", "sleep 0.3; exit 4"));
    const auto early = co_await move_on_after(50ms, late.wait());
    CHECK_FALSE(early);
    CHECK_FALSE(late.poll());
    const process::status end = co_await late.wait();
    CHECK(end.code() == 4);
  });
}

TEST_CASE("child: signals reach it; one that has ended is no error") {
  in_time([]() -> task<> {
    for (const int number : {SIGTERM, SIGKILL, SIGINT, SIGUSR1}) {
      process::child sleeping = co_await process::spawn(sleeper());
      sleeping.send_signal(number);
      const process::status end = co_await sleeping.wait();
      CHECK(end == process::status::of_signal(number));
      sleeping.send_signal(number);
      sleeping.kill();
    }
    process::child sleeping = co_await process::spawn(sleeper());
    CHECK_THROWS_AS(sleeping.send_signal(1000), os_error);
    sleeping.terminate();
    const process::status end = co_await sleeping.wait();
    CHECK(end.signal() == SIGTERM);
  });
}

TEST_CASE("child: stop() gives the end, also of one that has ended by itself") {
  in_time([]() -> task<> {
    process::child sleeping = co_await process::spawn(sleeper());
    process::status end = co_await sleeping.stop();
    CHECK(end.signal() == SIGTERM);
    end = co_await sleeping.stop();
    CHECK(end.signal() == SIGTERM);
    process::child quick = co_await process::spawn(cmd("true"));
    co_await quick.wait();
    end = co_await quick.stop();
    CHECK(end.ok());
  });
}

TEST_CASE("child: one that is destroyed while it runs is killed and reaped") {
  int pid = 0;
  in_time([&]() -> task<> {
    {
      process::child sleeping = co_await process::spawn(sleeper());
      pid = sleeping.pid();
      CHECK(::kill(pid, 0) == 0);
    }
    co_await sleep_for(300ms);
    CHECK(::kill(pid, 0) == -1);
  });
  in_time([&]() -> task<> {
    process::child sleeping = co_await process::spawn(sleeper());
    pid = sleeping.pid();
  });
  CHECK(::kill(pid, 0) == -1);
}

TEST_CASE("communicate: goes on after a timeout, without losing a byte either way") {
  const std::string input(300'000, 'i');
  in_time([&]() -> task<> {
    process::child slow = co_await process::spawn(cmd("/bin/sh", "-c", "echo first; sleep 0.4; cat; echo last >&2")
                                                      .in(stdio::pipe())
                                                      .out(stdio::pipe())
                                                      .err(stdio::pipe()));
    int timeouts = 0;
    std::optional<completed> done;
    while (!done && timeouts < 1000) {
      done = co_await move_on_after(30ms, slow.communicate(input));
      if (!done) ++timeouts;
    }
    REQUIRE(done);
    CHECK(timeouts > 3);
    CHECK(done->out == "first\n" + input);
    CHECK(done->err == "last\n");
    CHECK(done->ok());
  });
}

TEST_CASE("communicate: feeds the input that the command has, else its own") {
  in_time([]() -> task<> {
    process::child cat = co_await process::spawn(cmd("cat").input("the command's own").out(stdio::pipe()));
    completed done = co_await cat.communicate();
    CHECK(done.out == "the command's own");
    cat = co_await process::spawn(dialogue());
    done = co_await cat.communicate("its own");
    CHECK(done.out == "its own");
  });
}

TEST_CASE("child: the end of a pipe that it does not have is a logic_error") {
  in_time([]() -> task<> {
    process::child plain = co_await process::spawn(cmd("true"));
    CHECK_THROWS_AS(plain.in(), std::logic_error);
    CHECK_THROWS_AS(plain.out(), std::logic_error);
    CHECK_THROWS_AS(plain.err(), std::logic_error);
    co_await plain.wait();
  });
}
