// L4 io: operations on any descriptor: readiness, reading and writing; knows the driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_op.hpp>

#include <cstddef>
#include <span>

namespace ringlet {

namespace detail {

/// An operation without further steps; derived classes say what its result means.
class single_op : public io_op {
 public:
  bool await_ready() noexcept { return refuse_if_cancelled(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) noexcept {
    begin(here);
  }

 protected:
  explicit single_op(const io_request& request) noexcept : io_op(request) {}
};

class [[nodiscard]] poll_awaiter final : public single_op {
 public:
  poll_awaiter(int fd, int events) noexcept
      : single_op({io_code::poll, fd, nullptr, 0, static_cast<std::uint32_t>(events)}) {}
  int await_resume() const { return take_result(); }
};

class [[nodiscard]] readiness_awaiter final : public single_op {
 public:
  enum class event : std::uint32_t { readable = 0x1, writable = 0x4 };  // POLLIN and POLLOUT

  readiness_awaiter(int fd, event wanted) noexcept
      : single_op({io_code::poll, fd, nullptr, 0, static_cast<std::uint32_t>(wanted)}) {}
  void await_resume() const { take_result(); }
};

class [[nodiscard]] transfer_awaiter final : public single_op {
 public:
  transfer_awaiter(io_code code, int fd, const void* buffer, std::size_t size) noexcept;
  std::size_t await_resume() const { return static_cast<std::size_t>(take_result()); }
};

}  // namespace detail

/// Waits until the descriptor is readable, at its end or broken: the next read does not block. For foreign descriptors.
/// errors: os_error. cancel: safe. lifetime: `fd` stays open during the await.
inline detail::readiness_awaiter readable(int fd) noexcept {
  return {fd, detail::readiness_awaiter::event::readable};
}

/// Waits until the descriptor is writable or broken. errors: os_error. cancel: safe. lifetime: as for readable().
inline detail::readiness_awaiter writable(int fd) noexcept {
  return {fd, detail::readiness_awaiter::event::writable};
}

/// Waits for any of these events, as poll(2) names them: POLLIN | POLLOUT; gives those that have come. POLLERR, POLLHUP
/// and POLLRDHUP (the peer sends nothing more) end the wait unasked. errors: os_error. cancel: safe.
/// lifetime: as for readable().
inline detail::poll_awaiter poll(int fd, int events) noexcept {
  return {fd, events};
}

/// Reads at least one byte, at the descriptor's own position; gives how many, 0 at the end.
/// errors: os_error. cancel: safe; what was read is returned, not lost.
/// lifetime: `to` and `fd` belong to the kernel meanwhile.
inline detail::transfer_awaiter read_some(int fd, std::span<std::byte> to) noexcept {
  return {detail::io_code::read, fd, to.data(), to.size()};
}

/// Writes at least one byte, at the descriptor's own position; gives how many. errors: os_error.
/// cancel: safe; what was written is reported. lifetime: `from` and `fd` belong to the kernel meanwhile.
inline detail::transfer_awaiter write_some(int fd, std::span<const std::byte> from) noexcept {
  return {detail::io_code::write, fd, from.data(), from.size()};
}

}  // namespace ringlet
