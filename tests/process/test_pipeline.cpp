// Tests of pipelines of children: run to their end, and as a handle to what runs.
#include "process.hpp"

#include <chrono>
#include <stdexcept>

using namespace processes;

namespace {

using codes = std::vector<process::status>;

process::status exit_code(int code) {
  return process::status::of_exit(code);
}

process::pipeline dialogue() {
  return cmd("cat").in(stdio::pipe()) | cmd("cat") | cmd("cat").out(stdio::pipe());
}

process::pipeline sleepers() {
  return cmd("sleep", "60") | cmd("sleep", "60") | cmd("sleep", "60");
}

std::vector<int> pids_of(process::child_pipeline& stages) {
  std::vector<int> pids;
  for (std::size_t i = 0; i < stages.size(); ++i) pids.push_back(stages.stage(i).pid());
  return pids;
}

}  // namespace

TEST_CASE("pipeline: each stage reads what the one before writes, and every stage's status is told") {
  in_time([]() -> task<> {
    completed done = co_await process::run(cmd("printf", "c\\na\\nb\\n") | cmd("sort") | cmd("head", "-n", "2"));
    CHECK(done.ok());
    CHECK(done.out == "a\nb\n");
    CHECK(done.stages.size() == 3);

    done = co_await process::run(sh("echo one; echo e1 >&2; exit 3") | sh("cat; echo e2 >&2; exit 4") | cmd("cat"));
    CHECK(done.out == "one\n");
    CHECK(done.stages ==
          std::vector{process::status::of_exit(3), process::status::of_exit(4), process::status::of_exit(0)});
    CHECK(done.status.code() == 4);
    CHECK_FALSE(done.ok());
    CHECK_THAT(done.err, kit::contains("e1\n"));
    CHECK_THAT(done.err, kit::contains("e2\n"));
  });
}

TEST_CASE("pipeline: a stage that has enough ends the one before, as SIGPIPE is meant to") {
  in_time([]() -> task<> {
    const completed done = co_await process::run(cmd("yes") | cmd("head", "-n", "1"));
    CHECK(done.out == "y\n");
    CHECK(done.stages[0].signal() == SIGPIPE);
    CHECK(done.stages[1].ok());
  });
}

TEST_CASE("pipeline: much input, a timeout for all, a stage that cannot start") {
  in_time([]() -> task<> {
    const std::string much(4 << 20, 'm');
    completed done = co_await process::run(cmd("cat").input(much) | cmd("cat") | cmd("wc", "-c"));
    CHECK(done.out == std::to_string(much.size()) + "\n");

    std::optional<completed> captured;
    try {
      co_await process::run(cmd("sleep", "60") | cmd("cat").timeout(100ms));
    } catch (const process::timed_out& e) {
      captured = e.captured();
    }
    REQUIRE(captured);
    CHECK(captured->stages[0].signal() == SIGTERM);

    std::string told;
    try {
      co_await process::run(cmd("sleep", "60") | cmd("/nosuch"));
    } catch (const os_error& e) {
      told = e.what();
    }
    CHECK(told == "exec /nosuch: no such file or directory");
  });
}

TEST_CASE("pipeline: refuses an output or input that is to go elsewhere") {
  CHECK_THROWS_AS(cmd("a").out(stdio::null()) | cmd("b"), std::invalid_argument);
  CHECK_THROWS_AS(cmd("a") | cmd("b").input("x"), std::invalid_argument);
  CHECK_THROWS_AS(cmd("a") | cmd("b").in(stdio::null()) | cmd("c"), std::invalid_argument);
}

TEST_CASE("spawn: of a pipeline, a dialogue with its first and last stage, while it runs") {
  in_time([]() -> task<> {
    process::child_pipeline stages = co_await process::spawn(dialogue());
    CHECK(stages.size() == 3);
    line_reader answers(stages.out());
    for (int i = 0; i < 100; ++i) {
      const std::string question = "question " + std::to_string(i);
      co_await stages.in().write_all(question + "\n");
      const auto answer = co_await answers.next();
      CHECK(answer == question);
    }
    CHECK_FALSE(stages.poll());
    co_await stages.in().close();
    const auto rest = co_await answers.next();
    CHECK_FALSE(rest);
    const completed done = co_await stages.wait();
    CHECK(done.ok());
    CHECK(done.stages == codes(3, exit_code(0)));
  });
}

TEST_CASE("spawn: of a pipeline, every stage's status is told, each when it has ended and all when the last has") {
  in_time([]() -> task<> {
    process::child_pipeline stages = co_await process::spawn(cmd("/bin/sh", "-c", "exit 3") |
                                                             cmd("/bin/sh", "-c", "sleep 0.3; exit 4") | cmd("true"));
    const process::status first = co_await stages.stage(0).wait();
    CHECK(first == exit_code(3));
    CHECK_FALSE(stages.poll());
    const auto early = co_await move_on_after(20ms, stages.wait());
    CHECK_FALSE(early);
    completed done = co_await stages.wait();
    CHECK(done.stages == codes{exit_code(3), exit_code(4), exit_code(0)});
    CHECK(done.status == exit_code(4));
    const auto polled = stages.poll();
    REQUIRE(polled);
    CHECK(polled->stages == done.stages);
    done = co_await stages.wait();
    CHECK(done.status == exit_code(4));
  });
}

TEST_CASE("spawn: of a pipeline, communicate() feeds the first, reads the last, and the errors of all") {
  const std::string input(3'000'000, 'i');
  in_time([&]() -> task<> {
    process::child_pipeline stages =
        co_await process::spawn(sh("cat; echo e1 >&2").in(stdio::pipe()).err(stdio::pipe()) |
                                sh("cat; echo e2 >&2").err(stdio::pipe()).out(stdio::pipe()));
    completed done = co_await stages.communicate(input);
    CHECK(done.ok());
    CHECK(done.out == input);
    CHECK_THAT(done.err, kit::contains("e1\n"));
    CHECK_THAT(done.err, kit::contains("e2\n"));

    stages = co_await process::spawn(cmd("cat").input("the command's own") | cmd("cat").out(stdio::pipe()));
    done = co_await stages.communicate("not this");
    CHECK(done.out == "the command's own");
  });
}

TEST_CASE("spawn: of a pipeline, communicate() goes on after a timeout, without losing a byte either way") {
  const std::string input(300'000, 'i');
  in_time([&]() -> task<> {
    process::child_pipeline slow = co_await process::spawn(
        cmd("/bin/sh", "-c", "sleep 0.2; cat").in(stdio::pipe()) |
        cmd("/bin/sh", "-c", "echo first; sleep 0.4; cat; echo last >&2").out(stdio::pipe()).err(stdio::pipe()));
    co_await expect_all_despite_timeouts(slow, input);
  });
}

TEST_CASE("spawn: of a pipeline, signals reach every stage; stages that have ended are no error") {
  in_time([]() -> task<> {
    for (const int number : {SIGTERM, SIGKILL, SIGUSR1}) {
      process::child_pipeline stages = co_await process::spawn(sleepers());
      stages.send_signal(number);
      const completed done = co_await stages.wait();
      CHECK(done.stages == codes(3, process::status::of_signal(number)));
      CHECK(done.status == process::status::of_signal(number));
      stages.kill();
    }
    process::child_pipeline stages = co_await process::spawn(sleepers());
    CHECK_THROWS_AS(stages.send_signal(1000), os_error);
    stages.terminate();
    const completed done = co_await stages.wait();
    CHECK(done.status.signal() == SIGTERM);
  });
}

TEST_CASE("spawn: of a pipeline, stop() ends all stages at once, each as its kill policy says") {
  in_time([]() -> task<> {
    const auto deaf = [](const std::string& first) {
      const std::string line = "trap '' TERM; " + first + "; echo deaf; while :; do sleep 0.05; done";
      return sh(line).kill_policy(process::term_then_kill(300ms));
    };
    process::child_pipeline stages = co_await process::spawn(deaf("true") | deaf("read line") |
                                                             sh("read line; echo deaf; sleep 60").out(stdio::pipe()));
    const chunk all_are = co_await stages.out().receive();
    CHECK(all_are.text() == "deaf\n");
    completed done = co_await stages.stop();
    const process::status killed = process::status::of_signal(SIGKILL);
    CHECK(done.stages == codes{killed, killed, process::status::of_signal(SIGTERM)});
    done = co_await stages.stop();
    CHECK(done.stages.size() == 3);
  });
}

TEST_CASE("spawn: of a pipeline, all stages are killed and reaped when the handle goes or a later one cannot start") {
  std::vector<int> pids;
  in_time([&]() -> task<> {
    {
      process::child_pipeline stages = co_await process::spawn(sleepers());
      pids = pids_of(stages);
      process::child_pipeline taken = std::move(stages);
      for (const int pid : pids) CHECK(::kill(pid, 0) == 0);
    }
    co_await sleep_for(300ms);
    for (const int pid : pids) CHECK(::kill(pid, 0) == -1);
    std::string told;
    try {
      co_await process::spawn(cmd("sleep", "60") | cmd("sleep", "60") | cmd("/nosuch"));
    } catch (const os_error& e) {
      told = e.what();
    }
    CHECK(told == "exec /nosuch: no such file or directory");
  });
}

TEST_CASE("spawn: of a pipeline, without stdio::pipe() there are no pipes but those between its stages") {
  const folder place;
  in_time([&]() -> task<> {
    process::child_pipeline stages =
        co_await process::spawn(cmd("printf", "b\\na\\n") | cmd("sort").out(stdio::file(place / "sorted")));
    CHECK_THROWS_AS(stages.in(), std::logic_error);
    CHECK_THROWS_AS(stages.out(), std::logic_error);
    CHECK_THROWS_AS(stages.err(), std::logic_error);
    const completed done = co_await stages.communicate();
    CHECK(done.ok());
    CHECK(done.out.empty());
    CHECK(contents(place / "sorted") == "a\nb\n");
  });
}

TEST_CASE("run: a pipeline that takes too long leaves nobody of the group of a stage that has ended long since") {
  in_time([]() -> task<> {
    lifeline line;
    cmd leaves_one = sh("sleep 60 & exit 0").err(stdio::null()).pass_fd(line.writing.get());
    cmd sleeps = cmd("sleep", "60").out(stdio::null()).err(stdio::null()).timeout(300ms);
    sleeps.kill_policy(process::term_then_kill(1s));
    auto work = process::run(std::move(leaves_one) | std::move(sleeps));
    bool late = false;
    try {
      co_await std::move(work);
    } catch (const process::timed_out&) {
      late = true;
    }
    CHECK(late);
    line.writing.reset();
    const chunk nobody_has_it = co_await line.reading.receive();
    CHECK(nobody_has_it.empty());
  });
}
