// Tests of a running child: a dialogue, waiting, signals, and what becomes of one that nobody waits for.
#include "process.hpp"

#include <chrono>

#include <sys/wait.h>
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

TEST_CASE("child: a dialogue through three pipes, in pieces that end anywhere") {
  in_time([]() -> task<> {
    const std::string script =
        "while read line; do echo \"out $line\"; echo \"err $line\" >&2; done; printf unfinished";
    process::child speaker =
        co_await process::spawn(cmd("/bin/sh", "-c", script).in(stdio::pipe()).out(stdio::pipe()).err(stdio::pipe()));
    line_reader out(speaker.out());
    line_reader err(speaker.err());
    for (int i = 0; i < 30; ++i) {
      const std::string line = "line " + std::to_string(i);
      for (const char letter : line) co_await speaker.in().write_all(std::string(1, letter));
      const auto early = co_await move_on_after(1ms, out.next());
      CHECK_FALSE(early);
      co_await speaker.in().write_all("\nx");
      const auto said = co_await out.next();
      CHECK(said == "out " + line);
      const auto complained = co_await err.next();
      CHECK(complained == "err " + line);
      co_await speaker.in().write_all("\n");
      const auto more = co_await out.next();
      CHECK(more == "out x");
      co_await err.next();
    }
    co_await speaker.in().close();
    const auto last = co_await out.next();
    CHECK(last == "unfinished");
    const auto end = co_await speaker.wait();
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

TEST_CASE("child: of many that wait, one that is cancelled takes nothing from the others") {
  in_time([]() -> task<> {
    process::child late = co_await process::spawn(cmd("/bin/sh", "-c", "sleep 0.3; exit 6"));
    int told = 0;
    int gave_up = 0;
    auto waiting = [&](duration patience) -> task<> {
      const auto end = co_await move_on_after(patience, late.wait());
      if (!end) ++gave_up;
      if (end && end->code() == 6) ++told;
    };
    auto all = [&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) n.spawn(waiting, i % 2 == 0 ? duration(20ms) : duration(50s));
      co_return;
    };
    co_await with_nursery(all);
    CHECK(gave_up == 5);
    CHECK(told == 5);
  });
}

TEST_CASE("child: one that is held up by SIGSTOP has not ended") {
  in_time([]() -> task<> {
    process::child held = co_await process::spawn(cmd("sleep", "60"));
    held.send_signal(SIGSTOP);
    const auto early = co_await move_on_after(50ms, held.wait());
    CHECK_FALSE(early);
    CHECK_FALSE(held.poll());
    held.send_signal(SIGCONT);
    const auto still_early = co_await move_on_after(50ms, held.wait());
    CHECK_FALSE(still_early);
    held.send_signal(SIGSTOP);
    const process::status end = co_await held.stop();
    CHECK(end.signaled());
  });
}

TEST_CASE("child: where somebody else has reaped it, its status is unknown, and signals go nowhere") {
  in_time([]() -> task<> {
    process::child taken = co_await process::spawn(cmd("true"));
    CHECK(::waitpid(taken.pid(), nullptr, 0) == taken.pid());
    taken.send_signal(SIGTERM);
    taken.kill();
    process::status end = co_await taken.stop();
    CHECK(end == process::status::of_unknown());
    end = co_await taken.wait();
    CHECK(end == process::status::of_unknown());
    CHECK(taken.poll() == process::status::of_unknown());
    process::child dropped = co_await process::spawn(cmd("true").new_group());
    CHECK(::waitpid(dropped.pid(), nullptr, 0) == dropped.pid());
  });
}

TEST_CASE("child: signals reach it; one that has ended is no error") {
  in_time([]() -> task<> {
    for (const int number : {SIGTERM, SIGKILL, SIGINT, SIGUSR1, SIGQUIT, SIGRTMIN}) {
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

TEST_CASE("child: stop() ends all of the group that it leads, the deaf, too, even when it has ended") {
  in_time([]() -> task<> {
    for (const std::string leader : {"sleep 60", "exit 0"}) {
      lifeline line;
      const std::string deaf = "(trap '' TERM; echo ready; sleep 60; sleep 60) & ";
      process::child group = co_await process::spawn(sh(deaf + "read ready; " + leader)
                                                         .in(stdio::pipe())
                                                         .out(stdio::fd(line.writing.get()))
                                                         .kill_policy(process::term_then_kill(50ms)));
      line.writing.reset();
      co_await line.reading.receive();
      co_await group.in().write_all("go\n");
      co_await sleep_for(50ms);
      const process::status end = co_await group.stop();
      CHECK((end.ok() || end.signal() == SIGTERM));
      const chunk nobody_has_it = co_await line.reading.receive();
      CHECK(nobody_has_it.empty());
    }
  });
}

TEST_CASE("child: stop() ends all of the group also while other tasks wait for the leader, and look whether it runs") {
  in_time([]() -> task<> {
    lifeline line;
    process::child group =
        co_await process::spawn(sh("trap 'exit 0' TERM; (trap '' TERM; echo ready; sleep 60; sleep 60) & wait; wait")
                                    .out(stdio::fd(line.writing.get()))
                                    .kill_policy(process::term_then_kill(20s)));
    line.writing.reset();
    co_await line.reading.receive();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await group.wait(); });
      auto looking = n.spawn([&]() -> task<> {
        for (;;) {
          static_cast<void>(group.poll());
          co_await sleep_for(1ms);
        }
      });
      co_await sleep_for(5ms);
      const process::status end = co_await group.stop();
      CHECK(end.ok());
      looking.cancel();
    });
    const chunk nobody_has_it = co_await line.reading.receive();
    CHECK(nobody_has_it.empty());
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
    co_await expect_all_despite_timeouts(slow, input);
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
