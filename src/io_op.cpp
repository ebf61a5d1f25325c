// L4 io: how operations complete, are cancelled and fail; knows the driver and the scheduler.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/io_op.hpp>

#include <ringlet/fd.hpp>

#include <cerrno>
#include <string>

#include <poll.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

const char* verb_and_fd(io_code code) noexcept {
  switch (code) {
    case io_code::read: return "read fd";
    case io_code::write: return "write fd";
    case io_code::receive:
    case io_code::receive_many: return "receive fd";
    case io_code::send: return "send fd";
    case io_code::accept:
    case io_code::accept_many: return "accept fd";
    case io_code::connect: return "connect fd";
    case io_code::poll:
    case io_code::poll_many: return "poll fd";
    case io_code::shutdown: return "shutdown fd";
    case io_code::open: return "open fd";
    case io_code::sync: return "sync fd";
  }
  return "?";
}

}  // namespace

// Kernel: some versions let ERESTARTSYS and its kin out, which mean the same and have no names here.
bool is_interruption(int result) noexcept {
  return result == -EINTR || (result <= -512 && result >= -516);
}

void io_op::complete(int result, buffer*, bool) noexcept {
  end_or_go_on(result);
}

// What is less than was asked for: a part, a failure, a cancelled end, or "not now".
bool io_op::look_into(int result) noexcept {
  const bool is_part = result >= 0 && !polling_ && more_to_do(result);
  if (cancelling() && (is_part || is_early_end(result))) {
    end_early();
  } else if (is_part) {
    submit_rest();
    return false;
  } else if (asks_to_repeat(result)) {
    repeat(result);
    return false;
  } else {
    end_with(result);
  }
  this_loop().wake(*waiter());
  return true;
}

// Why polling_: while it only waits for readiness, a cancelled operation has not happened, ready or not.
// Kernel 6.1 ends a cancelled operation with EINTR where newer ones give ECANCELED.
bool io_op::is_early_end(int result) const noexcept {
  return polling_ || result == -ECANCELED || is_interruption(result) || asks_to_repeat(result);
}

void io_op::end_early() noexcept {
  state_ = abort_error_ != 0 ? state::done : state::cancelled;
  result_ = -abort_error_;
}

bool io_op::asks_to_repeat(int result) const noexcept {
  const bool readiness_came = polling_ && result >= 0;
  return readiness_came || is_transient(result);
}

void io_op::repeat(int result) noexcept {
  polling_ = result == -EAGAIN;
  submit();
}

bool io_op::is_transient(int result) const noexcept {
  return result == -EAGAIN || is_interruption(result);
}

io_request io_op::readiness_request() const noexcept {
  const bool outgoing =
      request_.code == io_code::write || request_.code == io_code::send || request_.code == io_code::connect;
  io_request poll{io_code::poll, request_.fd};
  poll.flags = outgoing ? POLLOUT : POLLIN;
  return poll;
}

void io_op::cancel() noexcept {
  if (state_ != state::in_flight) return;
  state_ = state::cancelling;
  // Why: a request in a simulated world may outlive its loop; the world's end ends it.
  if (current_driver != nullptr) current_driver->cancel(*this);
}

void io_op::abort(int error) noexcept {
  if (abort_error_ == 0) abort_error_ = error;
  cancel();
}

void io_op::throw_failure() const {
  if (state_ == state::cancelled) throw cancelled{};
  throw make_error(-result_);
}

os_error io_op::make_error(int error) const {
  return os_error(verb_and_fd(request_.code), std::to_string(request_.fd), error);
}

wait_text io_op::describe() const noexcept {
  return {verb_and_fd(request_.code), request_.fd};
}

std::size_t io_driver::unattended() const noexcept {
  std::size_t count = 0;
  for (const background* each = background_.front(); each != nullptr; each = background_.after(*each)) {
    if (!each->attended()) ++count;
  }
  return count;
}

bool io_driver::attends_any() const noexcept {
  const background* each = background_.front();
  while (each != nullptr && !each->attended()) each = background_.after(*each);
  return each != nullptr;
}

void close_fd(int fd) noexcept {
  if (current_driver != nullptr) {
    current_driver->close(fd);
  } else {
    ::close(fd);
  }
}

}  // namespace ringlet::detail
