// L4 io: makes, raises and lowers event descriptors; knows the system call.
// SPDX-License-Identifier: MIT
#include "event_fd.hpp"

#include <ringlet/error.hpp>

#include <cerrno>
#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

namespace ringlet::detail {

unique_fd make_event_fd() {
  unique_fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) throw os_error("eventfd", "", errno);
  return fd;
}

void raise_event(int fd) noexcept {
  const std::uint64_t one = 1;
  // The counter can only be full when it is readable already.
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
}

void lower_event(int fd) noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(fd, &count, sizeof count);
}

}  // namespace ringlet::detail
