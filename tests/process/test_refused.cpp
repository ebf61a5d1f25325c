// Tests of starting a child where the system refuses a step: what is told, that nothing is left, and what works all the
// same.
#include "process.hpp"

#include "kit/forbid.hpp"

#include <thread>

#include <sys/syscall.h>

using namespace processes;

namespace {

/// Runs `body` in a thread of its own, in which `calls` fail with `error`; gives what it threw as an os_error, else
/// "nothing". body: () -> task<>.
template <class Body>
std::string failure_without(std::initializer_list<unsigned> calls, int error, Body body) {
  std::string told;
  std::thread elsewhere([&] {
    try {
      for (const unsigned call : calls) kit::forbid(call, error);
      told = failure_of(body());
    } catch (const std::exception& e) {
      told = e.what();
    }
  });
  elsewhere.join();
  return told;
}

task<> run_true() {
  co_await process::run(cmd("true"));
}

#ifdef SYS_vfork
constexpr unsigned ways_to_fork[] = {SYS_vfork, SYS_clone};
#else
constexpr unsigned ways_to_fork[] = {SYS_clone, SYS_clone};
#endif

}  // namespace

TEST_CASE("spawn: a process that cannot be made, for want of memory or of numbers, is an error, and nothing is left") {
  for (const int error : {ENOMEM, EAGAIN}) {
    const std::string why = std::generic_category().message(error);
    const std::string told = failure_without({ways_to_fork[0], ways_to_fork[1]}, error, run_true);
    CHECK(told == os_error("vfork", "true", error).what());
  }
}

TEST_CASE("spawn: a child that no pidfd can be had for, for want of descriptors, is killed and reaped") {
  if (plain_path()) return kit::skip("pidfds are not used here");
  const folder place;
  const std::string told = failure_without(
      {SYS_pidfd_open}, EMFILE, [&]() -> task<> { co_await process::run(sh("sleep 60; touch " + (place / "made"))); });
  CHECK_THAT(told, kit::contains("pidfd_open "));
  CHECK_THAT(told, kit::contains(": too many open files"));
}

TEST_CASE("spawn: where there are no pidfds, children are waited for, stopped and reaped all the same") {
  for (const int error : {ENOSYS, EPERM}) {
    const std::string told = failure_without({SYS_pidfd_open}, error, []() -> task<> {
      completed done = co_await process::run(sh("cat; exit 7").input("in"));
      CHECK(done.out == "in");
      CHECK(done.status == process::status::of_exit(7));
      process::child sleeping = co_await process::spawn(cmd("sleep", "60"));
      process::status end = co_await sleeping.stop();
      CHECK(end.signal() == SIGTERM);
      sleeping = co_await process::spawn(cmd("sleep", "60"));
      sleeping.kill();
      end = co_await sleeping.wait();
      CHECK(end.signal() == SIGKILL);
      sleeping = co_await process::spawn(cmd("sleep", "60"));
    });
    CHECK(told == "nothing");
  }
}

TEST_CASE("spawn: a pipe or a file that cannot be had is an error, and no child is made") {
  const auto pipes = []() -> task<> { co_await process::run(cmd("true").input("in") | cmd("true") | cmd("true")); };
  CHECK_THAT(failure_without({SYS_pipe2}, EMFILE, pipes), kit::contains("pipe: too many open files"));
  CHECK_THAT(failure_without({SYS_dup2, SYS_dup3}, EBUSY, run_true), kit::contains("dup2 true: "));
}
