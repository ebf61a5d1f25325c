// L4 io: ring set-up and its failures; knows liburing and /proc.
// SPDX-License-Identifier: MIT
#include "setup.hpp"

#include <ringlet/config.hpp>
#include <ringlet/error.hpp>

#include "plain_path.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include <sys/resource.h>
#include <sys/utsname.h>

#include <fmt/format.h>

#if RINGLET_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace ringlet::detail {
namespace {

constexpr unsigned smallest_ring = 16;
constexpr unsigned largest_ring = 32768;  // the kernel's own limit
constexpr unsigned cq_factor = 4;

// Kernel 6.1: the oldest one that has all of these.
constexpr unsigned ring_flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                                IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;

constexpr const char* filtered_text =
    ": blocked by a seccomp filter, as is usual in containers; run it with `--security-opt seccomp=PROFILE`, a profile "
    "that allows io_uring_setup, io_uring_enter and io_uring_register";

constexpr unsigned long unlimited_kib = RLIM_INFINITY / 1024;

// Roughly: what both queues take.
unsigned ring_kib(unsigned entries) noexcept {
  return 8 + entries / 8;
}

// Why: a ring may get the memory of one that another thread has closed. The thread sanitizer sees neither liburing's
// unmapping nor its mapping, and so would call the second one's use of it a race with the first one's.
void tell_sanitizer_of_mapping([[maybe_unused]] bool mapped) noexcept {
#if RINGLET_TSAN
  static char ring_memory;
  mapped ? __tsan_acquire(&ring_memory) : __tsan_release(&ring_memory);
#endif
}

int try_to_open(io_uring& ring, unsigned entries) {
  io_uring_params params{};
  params.flags = ring_flags;
  params.cq_entries = entries * cq_factor;
  return io_uring_queue_init_params(entries, &ring, &params);
}

// Kernel 6.18: the memory of a ring that was closed a moment ago is not given back at once; one more try later helps.
int open_with_what_memory_allows(io_uring& ring, unsigned& entries) {
  for (bool waited = false;;) {
    const int error = try_to_open(ring, entries);
    if (error != -ENOMEM) return error;
    if (entries / 2 >= smallest_ring) {
      entries /= 2;
    } else if (!waited) {
      waited = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } else {
      return error;
    }
  }
}

int wait_despite_signals(io_uring& ring) {
  int result = -EINTR;
  for (int tries = 0; tries < 100 && result == -EINTR; ++tries) result = io_uring_submit_and_wait(&ring, 1);
  return result;
}

// Why: a filter may allow io_uring_setup and forbid io_uring_enter.
int round_trip(io_uring& ring) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_nop(sqe);
  io_uring_sqe_set_data64(sqe, 0);
  io_uring_cqe* cqe = nullptr;
  if (const int error = wait_despite_signals(ring); error < 0) return error;
  if (const int error = io_uring_peek_cqe(&ring, &cqe); error < 0) return error;
  const int result = cqe->res;
  io_uring_cqe_seen(&ring, cqe);
  return result;
}

[[noreturn]] void fail(const char* step, int error, unsigned entries) {
  throw startup_error(error, explain_failure(step, error, entries, ring_environment::read()));
}

}  // namespace

unsigned usual_entries() noexcept {
  return plain_path_forced() ? 8 : 256;
}

io_uring open_ring(unsigned entries) {
  io_uring ring{};
  entries = std::clamp(entries, 1u, largest_ring);
  if (const int error = open_with_what_memory_allows(ring, entries); error < 0) fail("io_uring_setup", -error, entries);
  tell_sanitizer_of_mapping(true);
  if ((ring.features & IORING_FEAT_NODROP) == 0) {
    close_ring(ring);
    fail("io_uring_setup", EINVAL, entries);
  }
  if (const int error = round_trip(ring); error < 0) {
    close_ring(ring);
    fail("io_uring_enter", -error, entries);
  }
  if (!plain_path_forced())
    io_uring_register_ring_fd(&ring);  // saves the kernel a look-up; without it all works the same
  io_uring_ring_dontfork(&ring);       // advice: a child that maps the ring could only do harm with it
  return ring;
}

void close_ring(io_uring& ring) noexcept {
  tell_sanitizer_of_mapping(false);
  io_uring_queue_exit(&ring);
}

ring_environment ring_environment::read() {
  ring_environment here;
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> here.disabled;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Seccomp:")) here.seccomp_filter = line.find('2') != std::string::npos;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  here.memlock_kib = limit.rlim_cur / 1024;
  utsname names{};
  ::uname(&names);
  here.kernel = names.release;
  return here;
}

namespace {

std::string why_refused(const ring_environment& here) {
  if (here.disabled == 2) {
    return ": io_uring is switched off by kernel.io_uring_disabled=2; ask the administrator for "
           "`sysctl kernel.io_uring_disabled=0`";
  }
  if (here.disabled == 1) {
    return ": kernel.io_uring_disabled=1 allows io_uring only to members of the group "
           "kernel.io_uring_group and with CAP_SYS_ADMIN; ask the administrator for membership or for "
           "`sysctl kernel.io_uring_disabled=0`";
  }
  if (here.seccomp_filter) return filtered_text;
  return ": neither kernel.io_uring_disabled nor a seccomp filter of this process forbids it, so a security module "
         "such as SELinux does; look for io_uring in the audit log";
}

std::string why_unknown(const ring_environment& here) {
  if (here.seccomp_filter) return filtered_text;
  return fmt::format(": this kernel ({}) has no io_uring; ringlet needs Linux 6.1 or newer, built with CONFIG_IO_URING",
                     here.kernel);
}

std::string why_no_memory(unsigned entries, const ring_environment& here) {
  if (here.memlock_kib == unlimited_kib) {
    return fmt::format(
        ": there is no memory for a ring of {} entries, about {} KiB; the limit of locked memory is not the reason, so "
        "look at the memory limit of the container, and at what else runs there",
        entries, ring_kib(entries));
  }
  return fmt::format(
      ": the limit of locked memory is too small: it is {} KiB, and a ring of {} entries needs about {} KiB; raise it "
      "with `ulimit -l`, or ask for fewer entries",
      here.memlock_kib, entries, ring_kib(entries));
}

std::string reason_and_remedy(int error, unsigned entries, const ring_environment& here) {
  switch (error) {
    case EPERM:
    case EACCES: return why_refused(here);
    case ENOSYS: return why_unknown(here);
    case ENOMEM: return why_no_memory(entries, here);
    case EMFILE: return ": this process has no descriptors left; raise the limit with `ulimit -n`, or close some";
    case ENFILE: return ": the system has no descriptors left; ask the administrator to raise `sysctl fs.file-max`";
    case EINVAL: return fmt::format(": ringlet needs Linux 6.1 or newer, this is {}", here.kernel);
    default: return "";
  }
}

}  // namespace

std::string explain_failure(const char* step, int error, unsigned entries, const ring_environment& here) {
  return fmt::format("{} failed ({})", step, std::strerror(error)) + reason_and_remedy(error, entries, here);
}

}  // namespace ringlet::detail
