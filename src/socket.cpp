// L4 io: who uses a descriptor, and how it is closed while it is in use; knows the driver.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/socket.hpp>

#include <cerrno>

namespace ringlet::detail {

void socket::close_now() noexcept {
  const bool in_use = users_[0] != nullptr || users_[1] != nullptr;
  RINGLET_CHECK(!in_use, "a stream was destroyed while an operation on fd {} was in flight", fd_.get());
  fd_.reset();
}

int socket::claim(direction way, io_op& op) noexcept {
  if (closed()) return EBADF;
  if (user(way) != nullptr) return EBUSY;
  user(way) = &op;
  return 0;
}

void socket::give_up(direction way) noexcept {
  user(way) = nullptr;
  if (closing_ && users_[0] == nullptr && users_[1] == nullptr) finish_close();
}

// Kernel: closing a descriptor does not end the operations on it, and its number may be given out again at once.
bool socket::begin_close() noexcept {
  if (!fd_) return true;
  closing_ = true;
  const bool in_use = users_[0] != nullptr || users_[1] != nullptr;
  for (io_op* op : users_) {
    if (op != nullptr) op->abort(EBADF);
  }
  if (!in_use) finish_close();
  return !in_use;
}

void socket::finish_close() noexcept {
  fd_.reset();
  while (close_awaiter* closer = closers_.pop_front()) this_loop().wake(*closer->waiter());
}

}  // namespace ringlet::detail
