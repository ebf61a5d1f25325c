// Bench: a ring as the hand-written servers use it: one issuer, deferred work, one enter a turn.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>

#include <liburing.h>

namespace bench {

/// What a completion belongs to; travels in user_data.
enum class op : std::uint8_t { accept, receive, send, poll, ignored };

class ring {
 public:
  /// errors: std::system_error.
  ring();
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring();

  /// Room for a submission; makes room if there is none.
  io_uring_sqe* sqe();

  /// Submits all, waits for a completion, and calls each(op, index, cqe) for those that are there.
  template <class F>
  void turn(F each) {
    submit_and_wait();
    io_uring_cqe* batch[512];
    const unsigned count = io_uring_peek_batch_cqe(&ring_, batch, 512);
    for (unsigned i = 0; i < count; ++i) {
      const std::uint64_t tag = batch[i]->user_data;
      each(static_cast<op>(tag & 0xff), static_cast<unsigned>(tag >> 8), *batch[i]);
    }
    io_uring_cq_advance(&ring_, count);
  }

  /// After prep: says what the submission is.
  static void mark(io_uring_sqe* sqe, op what, unsigned index) {
    sqe->user_data = static_cast<std::uint64_t>(what) | std::uint64_t{index} << 8;
  }

  io_uring& native() noexcept { return ring_; }

 private:
  void submit_and_wait();

  io_uring ring_{};
};

/// Accepts connections for ever; direct: into the table of direct descriptors.
void accept_connections(ring& r, int listener, bool direct = false);

/// Closes a descriptor with the next submission.
void close_later(ring& r, int fd, bool direct = false);

}  // namespace bench
