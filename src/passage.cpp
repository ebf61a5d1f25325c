// L4 io: messages that system calls of their own send and receive; knows sockets and readiness.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/passage.hpp>

#include <cerrno>

#include <poll.h>

namespace ringlet::detail {

passage::passage(socket& s, direction way) noexcept : stream_op(s, way, {io_code::poll, s.fd()}) {
  request_.flags = way == direction::in ? POLLIN : POLLOUT;
  ask_below(any_result);
}

bool passage::more_to_do(int) noexcept {
  const int passed = pass();
  const bool not_now = passed == -EAGAIN || is_interruption(passed);
  outcome_ = not_now ? 0 : passed;
  return not_now;
}

bool passage::passed_at_once() noexcept {
  if (more_to_do(0)) return false;
  end_with(0);
  finish();
  return true;
}

std::error_code passage::await_error() const noexcept {
  return outcome_ < 0 ? std::error_code(-outcome_, std::generic_category()) : stream_op::await_error();
}

int passage::take_size() const {
  take_result();
  if (outcome_ < 0) throw make_error(-outcome_);
  return outcome_;
}

}  // namespace ringlet::detail
