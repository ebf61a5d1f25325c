// Bench: a ring as the hand-written servers use it: one issuer, deferred work, one enter a turn.
// SPDX-License-Identifier: MIT
#include "ring.hpp"

#include "../ending.hpp"

#include <cerrno>
#include <system_error>

namespace bench {

ring::ring() {
  io_uring_params how{};
  how.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
              IORING_SETUP_CQSIZE;
  how.cq_entries = 8192;
  const int result = io_uring_queue_init_params(2048, &ring_, &how);
  if (result < 0) throw std::system_error(-result, std::system_category(), "io_uring_queue_init");
  io_uring_register_ring_fd(&ring_);  // Why unchecked: without it everything works, a little slower.
}

ring::~ring() {
  io_uring_queue_exit(&ring_);
}

io_uring_sqe* ring::sqe() {
  io_uring_sqe* free = io_uring_get_sqe(&ring_);
  if (free != nullptr) return free;
  const int result = io_uring_submit(&ring_);
  if (result < 0) throw std::system_error(-result, std::system_category(), "io_uring_submit");
  return io_uring_get_sqe(&ring_);
}

void ring::submit_and_wait() {
  const int result = io_uring_submit_and_wait(&ring_, 1);
  if (result < 0 && result != -EINTR) throw std::system_error(-result, std::system_category(), "io_uring_enter");
}

void accept_connections(ring& r, int listener, bool direct) {
  io_uring_sqe* sqe = r.sqe();
  if (direct) {
    io_uring_prep_multishot_accept_direct(sqe, listener, nullptr, nullptr, 0);
  } else {
    io_uring_prep_multishot_accept(sqe, listener, nullptr, nullptr, 0);
  }
  ring::mark(sqe, op::accept, 0);
}

void close_later(ring& r, int fd, bool direct) {
  io_uring_sqe* sqe = r.sqe();
  if (direct) {
    io_uring_prep_close_direct(sqe, static_cast<unsigned>(fd));
  } else {
    io_uring_prep_close(sqe, fd);
  }
  ring::mark(sqe, op::ignored, 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  session_ended();
}

}  // namespace bench
