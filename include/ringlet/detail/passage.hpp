// L4 io: a message that a system call of its own sends or receives, once the driver says that it can go; knows sockets.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/stream.hpp>

namespace ringlet::detail {

/// One message, sent or received by a call of its own: at once where that works, else when the driver says so.
class passage : public stream_op {
 public:
  bool await_ready() noexcept { return stream_op::await_ready() || (within_budget() && passed_at_once()); }
  std::error_code await_error() const noexcept;

 protected:
  passage(socket& s, direction way) noexcept;

  /// Sends or receives the message, without waiting. Gives 0 or more, or -errno.
  virtual int pass() noexcept = 0;

  /// What pass() gave. errors: os_error.
  int take_size() const;

 private:
  bool more_to_do(int result) noexcept override;
  bool passed_at_once() noexcept;

  int outcome_ = 0;  // of pass()
};

}  // namespace ringlet::detail
