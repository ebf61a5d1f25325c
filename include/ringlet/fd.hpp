// L4 io: unique_fd, a file descriptor with one owner; knows how the loop's driver closes it.
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

namespace ringlet {

namespace detail {
void close_fd(int fd) noexcept;
}

/// Owns a file descriptor and closes it. threads: any, one at a time.
class unique_fd {
 public:
  unique_fd() = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) detail::close_fd(release());
  }

 private:
  int fd_ = -1;  // -1: none
};

}  // namespace ringlet
