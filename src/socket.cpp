// L4 io: who uses a descriptor, and how it is closed while it is in use; knows the driver.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/socket.hpp>

#include <cerrno>

namespace ringlet::detail {

void socket::close_now() noexcept {
  const bool in_use = users_[0] != nullptr || users_[1] != nullptr || (input_ && input_->awaited());
  RINGLET_CHECK(!in_use, "a stream was destroyed while an operation on fd {} was in flight", fd_.get());
  if (input_) input_->close();
  closed_ = true;
  if (!busy()) return fd_.reset();
  until_input_ends_ = ref<socket>(this);
}

bool socket::busy() const noexcept {
  return users_[0] != nullptr || users_[1] != nullptr || (input_ && input_->armed());
}

void socket::last_user_may_have_gone() noexcept {
  if (!busy()) finish_close();
}

void socket::input_has_ended() noexcept {
  if (closed_ && !busy()) finish_close();
  until_input_ends_ = {};  // Why last: nobody else may have a reference
}

// Kernel: closing a descriptor does not end the operations on it, and its number may be given out again at once.
bool socket::begin_close() noexcept {
  if (!fd_) return true;
  closed_ = true;
  for (io_op* op : users_) {
    if (op != nullptr) op->abort(EBADF);
  }
  if (input_) input_->close();
  if (busy()) return false;
  finish_close();
  return true;
}

void socket::finish_close() noexcept {
  fd_.reset();
  while (close_awaiter* closer = closers_.pop_front()) this_loop().wake(*closer->waiter());
}

}  // namespace ringlet::detail
