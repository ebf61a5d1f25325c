// Tests on the kernel: every reason why a ring cannot be opened is told with what mends it; rings open where they can.
#include "kernel.hpp"

#include <uring/setup.hpp>

#include <set>

#include <sys/resource.h>
#include <unistd.h>

using namespace kernel;

namespace {

using detail::explain_failure;
using detail::ring_environment;

/// A kernel that allows everything.
ring_environment ordinary() {
  ring_environment here;
  here.memlock_kib = 64;
  here.kernel = "6.1.0-test";
  return here;
}

ring_environment disabled(int how) {
  ring_environment here = ordinary();
  here.disabled = how;
  return here;
}

ring_environment filtered() {
  ring_environment here = ordinary();
  here.seccomp_filter = true;
  return here;
}

std::string explained(int error, const ring_environment& here, const char* step = "io_uring_setup") {
  return explain_failure(step, error, 16, here);
}

}  // namespace

TEST_CASE("start-up: every explanation begins with the step that failed and the system's word for why") {
  for (const char* step : {"io_uring_setup", "io_uring_enter"}) {
    CHECK_THAT(explained(EPERM, ordinary(), step),
               kit::contains(step + std::string(" failed (Operation not permitted)")));
    CHECK_THAT(explained(ENOSYS, ordinary(), step), kit::contains(step + std::string(" failed (Function not impl")));
    CHECK_THAT(explained(ENOMEM, ordinary(), step), kit::contains(step + std::string(" failed (Cannot allocate")));
  }
}

TEST_CASE("start-up: where the sysctl switches io_uring off, it is named with the command that switches it on") {
  for (const int error : {EPERM, EACCES}) {
    for (const int how : {1, 2}) {
      const std::string text = explained(error, disabled(how));
      CHECK_THAT(text, kit::contains("kernel.io_uring_disabled=" + std::to_string(how)));
      CHECK_THAT(text, kit::contains("`sysctl kernel.io_uring_disabled=0`"));
    }
  }
  CHECK_THAT(explained(EPERM, disabled(1)), kit::contains("kernel.io_uring_group"));
}

TEST_CASE("start-up: the sysctl is named first where there is a seccomp filter, too, for it holds without one") {
  ring_environment both = disabled(2);
  both.seccomp_filter = true;
  CHECK_THAT(explained(EPERM, both), kit::contains("kernel.io_uring_disabled=2"));
}

TEST_CASE("start-up: where a seccomp filter forbids io_uring, it is named with the option that allows it") {
  for (const int error : {EPERM, EACCES, ENOSYS}) {
    const std::string text = explained(error, filtered());
    CHECK_THAT(text, kit::contains("seccomp filter"));
    CHECK_THAT(text, kit::contains("--security-opt seccomp="));
    CHECK_THAT(text, kit::contains("io_uring_enter"));
  }
}

TEST_CASE("start-up: refused by neither, a security module is named with the place to look at") {
  for (const int error : {EPERM, EACCES}) {
    CHECK_THAT(explained(error, ordinary()), kit::contains("SELinux"));
    CHECK_THAT(explained(error, ordinary()), kit::contains("audit log"));
  }
}

TEST_CASE("start-up: a kernel without io_uring is named with the one that is needed") {
  const std::string text = explained(ENOSYS, ordinary());
  CHECK_THAT(text, kit::contains("6.1.0-test"));
  CHECK_THAT(text, kit::contains("Linux 6.1"));
  CHECK_THAT(text, kit::contains("CONFIG_IO_URING"));
}

TEST_CASE("start-up: a sysctl or filter is not blamed for what it does not do") {
  CHECK_THAT(explained(ENOSYS, disabled(2)), !kit::contains("sysctl"));
  CHECK_THAT(explained(ENOMEM, filtered()), !kit::contains("seccomp"));
  CHECK_THAT(explained(EINVAL, filtered()), !kit::contains("seccomp"));
}

TEST_CASE("start-up: too little lockable memory is named with the limit, the need and the command") {
  const std::string text = explained(ENOMEM, ordinary());
  CHECK_THAT(text, kit::contains("locked memory"));
  CHECK_THAT(text, kit::contains("64 KiB"));
  CHECK_THAT(text, kit::contains("16 entries"));
  CHECK_THAT(text, kit::contains("`ulimit -l`"));
}

TEST_CASE("start-up: an unlimited memory limit is not printed as a number nor blamed") {
  ring_environment here = ordinary();
  here.memlock_kib = RLIM_INFINITY / 1024;
  const std::string text = explained(ENOMEM, here);
  CHECK_THAT(text, !kit::contains("18014398509481983"));
  CHECK_THAT(text, !kit::contains("too small"));
  CHECK_THAT(text, kit::contains("memory"));
}

TEST_CASE("start-up: an old kernel is named with the one that is needed") {
  CHECK_THAT(explained(EINVAL, ordinary()), kit::contains("Linux 6.1 or newer, this is 6.1.0-test"));
}

TEST_CASE("start-up: too few descriptors are named with the command that allows more") {
  for (const int error : {EMFILE, ENFILE}) {
    const std::string text = explained(error, ordinary());
    CHECK_THAT(text, kit::contains("descriptors"));
  }
  CHECK_THAT(explained(EMFILE, ordinary()), kit::contains("`ulimit -n`"));
}

TEST_CASE("start-up: an error of which nothing is known is told as it is") {
  CHECK(explained(EIO, ordinary()) == "io_uring_setup failed (Input/output error)");
}

TEST_CASE("start-up: what this system says can be read") {
  const ring_environment here = ring_environment::read();
  CHECK_FALSE(here.kernel.empty());
  CHECK(here.disabled >= 0);
  CHECK(here.disabled <= 1);  // or this test would not run
}

TEST_CASE("start-up: without a descriptor to spare run() says so, and works once there is one") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int highest = *kernel::open_descriptors().rbegin();
  std::string told[2];
  for (const int spare : {0, 1}) {
    const rlimit few{static_cast<rlim_t>(highest + 1 + spare), before.rlim_max};
    std::vector<unique_fd> holes;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) holes.emplace_back(fd);
    if (spare == 1 && !holes.empty()) holes.pop_back();
    try {
      run([]() -> task<> { co_return; });
    } catch (const std::system_error& e) {
      told[spare] = e.what();
    }
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  }
  CHECK_THAT(told[0], kit::contains("eventfd"));
  CHECK_THAT(told[1], kit::contains("io_uring_setup"));
  const int result = run([]() -> task<int> { co_return 1; });
  CHECK(result == 1);
}
