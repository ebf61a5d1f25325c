// Tests of what Python's subprocess chapter does, each as docs/processes.md quotes it.
#include "process.hpp"

#include <fcntl.h>
#include <unistd.h>

using namespace processes;
using process::term_then_kill;

TEST_CASE("as in Python: run, capture, check, shell") {
  in_time([]() -> task<> {
    auto done = co_await process::run(cmd("echo", "hi").out(stdio::inherit()).out(stdio::null()));
    CHECK(done.ok());

    done = co_await process::run(cmd("echo", "hi"));
    CHECK(done.out == "hi\n");
    CHECK(done.status.code() == 0);

    const auto text = co_await process::check_output(cmd("date", "-u", "+%Z"));
    CHECK(text == "UTC\n");

    bool threw = false;
    try {
      co_await process::run(cmd("false").check());
    } catch (const process::called_process_error& e) {
      threw = e.status().code() == 1;
    }
    CHECK(threw);

    done = co_await process::run(sh("echo $((6 * 7)) | cat"));
    CHECK(done.out == "42\n");
  });
}

TEST_CASE("as in Python: input, redirection, environment, folder") {
  const folder place;
  const std::string path = place / "out";
  in_time([&]() -> task<> {
    auto done = co_await process::run(cmd("tr", "a-z", "A-Z").input("loud"));
    CHECK(done.out == "LOUD");

    done = co_await process::run(sh("echo oops >&2").err(stdio::to_stdout()));
    CHECK(done.out == "oops\n");

    done = co_await process::run(sh("echo oops >&2").err(stdio::null()));
    CHECK(done.err.empty());

    done = co_await process::run(cmd("echo", "kept").out(stdio::file(path)));
    CHECK(contents(path) == "kept\n");

    done = co_await process::run(cmd("cat").in(stdio::file(path)));
    CHECK(done.out == "kept\n");

    done = co_await process::run(cmd("/usr/bin/env").clear_env().env("A", "1"));
    CHECK(done.out == "A=1\n");

    done = co_await process::run(cmd("/usr/bin/env").env("A", "1"));
    CHECK_THAT(done.out, kit::contains("A=1\n"));

    done = co_await process::run(cmd("pwd").cwd("/"));
    CHECK(done.out == "/\n");
  });
}

TEST_CASE("as in Python: timeout, Popen, poll, wait, signals, communicate") {
  in_time([]() -> task<> {
    bool late = false;
    try {
      co_await process::run(cmd("sleep", "9").timeout(50ms).kill_policy(term_then_kill(1s)));
    } catch (const process::timed_out& e) {
      late = e.captured().status.signal() == SIGTERM;
    }
    CHECK(late);

    auto p = co_await process::spawn(cmd("cat").in(stdio::pipe()).out(stdio::pipe()));
    CHECK(p.pid() > 0);
    CHECK_FALSE(p.poll());
    co_await p.in().write_all("line\n");
    const chunk answer = co_await p.out().receive();
    CHECK(answer.text() == "line\n");
    const auto said = co_await p.communicate("the rest\n");
    CHECK(said.out == "the rest\n");

    auto q = co_await process::spawn(cmd("sleep", "9").new_session());
    q.send_signal(SIGHUP);
    q.terminate();
    q.kill();
    const auto end = co_await q.wait();
    CHECK(end.signaled());
  });
}

TEST_CASE("as in Python: pipelines, descriptors") {
  const unique_fd fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  in_time([&]() -> task<> {
    auto done = co_await process::run(cmd("echo", "b\na") | cmd("sort"));
    CHECK(done.out == "a\nb\n");

    auto r = co_await process::spawn(cmd("cat").in(stdio::pipe()) | cmd("sort").out(stdio::pipe()));
    co_await r.in().write_all("b\na\n");
    done = co_await r.communicate();
    CHECK(done.out == "a\nb\n");
    const auto ended = co_await r.wait();
    CHECK(ended.stages.size() == 2);

    done = co_await process::run(cmd("test", "-e", "/proc/self/fd/" + std::to_string(fd.get())).pass_fd(fd.get()));
    CHECK(done.ok());

    done = co_await process::run(cmd("head", "-c", "3").in(stdio::fd(fd.get())));
    CHECK(done.out == std::string(3, '\0'));
  });
}
