// L4 io: unique_fd, a file descriptor with one owner; knows how the loop's driver closes it.
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

namespace ringlet {

namespace detail {
void close_fd(int fd) noexcept;
}

/// Owns a file descriptor and closes it. threads: any, one at a time; a simulated one the loop's only.
/// lifetime: no operation may be in flight on it when it is closed.
class unique_fd {
 public:
  unique_fd() = default;
  /// Takes it over; a negative one stands for none.
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd() { reset(); }

  /// The descriptor, -1 when there is none.
  int get() const noexcept { return fd_; }
  /// True when there is one.
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor, and the duty to close it, to the caller.
  int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes it now. Twice is no error.
  void reset() noexcept {
    if (fd_ >= 0) detail::close_fd(release());
  }

 private:
  int fd_ = -1;  // -1: none
};

}  // namespace ringlet
