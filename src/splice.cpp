// L4 io: moves bytes from descriptors into pipes with splice(2); knows readiness.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/splice.hpp>

#include <ringlet/detail/passage.hpp>

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <poll.h>

namespace ringlet::detail {
namespace {

// More than most pipes hold, and little enough for the others to have their turn.
constexpr std::size_t at_a_time = 1024 * 1024;

/// Waits for input and for room in turns, and then moves what can be moved at once. Kernel: the ring has an operation
/// for that, which always runs on a thread of the kernel's.
class splicing final : public passage {
 public:
  splicing(socket& from, socket& to, std::uint64_t& moved) noexcept
      : passage(from, direction::in), to_(to), from_fd_(from.fd()), to_fd_(to.fd()), moved_(moved) {}
  // Why not at once: of a socket that waits, the kernel would wait for input right there.
  bool await_ready() noexcept { return stream_op::await_ready(); }
  void await_resume() const { take_size(); }

  void complete(int result, buffer* filled, bool more) noexcept override;
  wait_text describe() const noexcept override { return {"splice from fd", from_fd_}; }

 private:
  int pass() noexcept override;
  os_error make_error(int error) const override;
  int move_some() noexcept;
  void wait_for_room(bool yes) noexcept;

  socket& to_;
  int from_fd_;
  int to_fd_;
  std::uint64_t& moved_;
  bool waits_for_room_ = false;  // and has claimed `to_`; else it waits for input
};

// Gives -EAGAIN as long as there may be more. Kernel: in front of an urgent byte of TCP it says EAGAIN or 0, whatever
// there is and however much room; of descriptors that it cannot splice, EINVAL.
int splicing::pass() noexcept {
  const int refused = waits_for_room_ ? 0 : to_.claim(direction::out, *this);
  if (refused != 0) return -refused;
  const int moved = move_some();
  const bool both_ready = waits_for_room_;
  wait_for_room(moved == -EAGAIN && !both_ready);
  const bool cannot = moved == -EINVAL || (moved == -EAGAIN && both_ready);
  if (cannot) return 0;
  if (moved <= 0) return moved;
  moved_ += static_cast<std::uint64_t>(moved);
  return -EAGAIN;
}

// Kernel: SPLICE_F_NONBLOCK speaks of the pipe.
int splicing::move_some() noexcept {
  const ssize_t moved = ::splice(from_fd_, nullptr, to_fd_, nullptr, at_a_time, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  return moved >= 0 ? static_cast<int>(moved) : -errno;
}

void splicing::wait_for_room(bool yes) noexcept {
  waits_for_room_ = yes;
  request_.fd = yes ? to_fd_ : from_fd_;
  request_.flags = yes ? POLLOUT : POLLIN;
  if (!yes) to_.give_up(direction::out);
}

void splicing::complete(int result, buffer* filled, bool more) noexcept {
  passage::complete(result, filled, more);
  if (!in_flight() && waits_for_room_) wait_for_room(false);
}

os_error splicing::make_error(int error) const {
  return os_error("splice", "fd " + std::to_string(from_fd_) + " to fd " + std::to_string(to_fd_), error);
}

}  // namespace

task<> splice_into(socket& from, socket& to, std::uint64_t& moved) {
  co_await splicing(from, to, moved);
}

}  // namespace ringlet::detail
