// Bench: the hand-written server on multishot poll: the ring tells of readiness, direct calls move the bytes.
// SPDX-License-Identifier: MIT
#include "hot_echo.hpp"
#include "listener.hpp"
#include "ring.hpp"
#include "servers.hpp"

#include <poll.h>

namespace bench {

namespace {

class poll_server {
 public:
  explicit poll_server(int listener) : listener_(listener) { accept_connections(ring_, listener_); }

  void turn() {
    ring_.turn(
        [this](op what, unsigned index, const io_uring_cqe& cqe) { complete(what, static_cast<int>(index), cqe); });
  }

 private:
  void complete(op what, int fd, const io_uring_cqe& cqe) {
    const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
    if (what == op::accept) {
      if (cqe.res >= 0) begin(cqe.res);
      if (!more) accept_connections(ring_, listener_);
    } else if (what == op::poll) {
      readable(fd, more);
    } else if (what == op::send) {
      if (!ending_[static_cast<std::size_t>(fd)]) after(fd, echo_.writable(fd), true);
    }
  }

  void begin(int fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= ending_.size()) ending_.resize(2 * index + 1);
    ending_[index] = false;
    echo_.forget(fd);
    watch(fd);
  }

  void watch(int fd) {
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_poll_multishot(sqe, fd, POLLIN);
    ring::mark(sqe, op::poll, static_cast<unsigned>(fd));
  }

  void readable(int fd, bool armed) {
    if (!ending_[static_cast<std::size_t>(fd)]) {
      after(fd, echo_.readable(fd), armed);
    } else if (!armed) {
      close_later(ring_, fd);
    }
  }

  void after(int fd, hot_echo::state state, bool armed) {
    if (state == hot_echo::state::closed) {
      end(fd, armed);
      return;
    }
    if (!armed) watch(fd);
    if (state == hot_echo::state::blocked) wait_until_writable(fd);
  }

  void wait_until_writable(int fd) {
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_poll_add(sqe, fd, POLLOUT);
    ring::mark(sqe, op::send, static_cast<unsigned>(fd));
  }

  // The poll holds the socket open, so it goes first.
  void end(int fd, bool armed) {
    ending_[static_cast<std::size_t>(fd)] = true;
    if (!armed) {
      close_later(ring_, fd);
      return;
    }
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_poll_remove(sqe, static_cast<std::uint64_t>(op::poll) | static_cast<std::uint64_t>(fd) << 8);
    ring::mark(sqe, op::ignored, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }

  ring ring_;
  const int listener_;
  hot_echo echo_;
  std::vector<char> ending_;  // for each descriptor
};

}  // namespace

void serve_poll(int listener) {
  poll_server server(listener);
  while (!stop_requested()) server.turn();
}

}  // namespace bench
