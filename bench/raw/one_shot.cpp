// Bench: the hand-written server that receives once, sends, and receives again, in a buffer of the connection's own.
// SPDX-License-Identifier: MIT
#include "listener.hpp"
#include "ring.hpp"
#include "servers.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include <sys/socket.h>

namespace bench {

namespace {

struct session {
  unsigned received = 0;
  unsigned sent = 0;
  std::array<std::byte, 16 * 1024> buffer;
};

class one_shot_server {
 public:
  explicit one_shot_server(int listener) : listener_(listener) { accept_connections(ring_, listener_); }

  void turn() {
    ring_.turn([this](op what, unsigned fd, const io_uring_cqe& cqe) { complete(what, fd, cqe); });
  }

 private:
  void complete(op what, unsigned fd, const io_uring_cqe& cqe) {
    if (what == op::accept) {
      if (cqe.res >= 0) begin(static_cast<unsigned>(cqe.res));
      if ((cqe.flags & IORING_CQE_F_MORE) == 0) accept_connections(ring_, listener_);
    } else if (what == op::receive || what == op::send) {
      if (cqe.res <= 0) {
        end(fd);
      } else if (what == op::receive) {
        sessions_[fd]->received = static_cast<unsigned>(cqe.res);
        sessions_[fd]->sent = 0;
        send(fd);
      } else {
        sessions_[fd]->sent += static_cast<unsigned>(cqe.res);
        if (sessions_[fd]->sent < sessions_[fd]->received)
          send(fd);
        else
          receive(fd);
      }
    }
  }

  void begin(unsigned fd) {
    if (fd >= sessions_.size()) sessions_.resize(2 * fd + 1);
    // Why not make_unique: that would touch the whole buffer.
    sessions_[fd].reset(new session);
    receive(fd);
  }

  void receive(unsigned fd) {
    io_uring_sqe* sqe = ring_.sqe();
    session& s = *sessions_[fd];
    io_uring_prep_recv(sqe, static_cast<int>(fd), s.buffer.data(), s.buffer.size(), 0);
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;  // Why: there is hardly ever something yet.
    ring::mark(sqe, op::receive, fd);
  }

  void send(unsigned fd) {
    io_uring_sqe* sqe = ring_.sqe();
    session& s = *sessions_[fd];
    io_uring_prep_send(sqe, static_cast<int>(fd), s.buffer.data() + s.sent, s.received - s.sent, MSG_NOSIGNAL);
    ring::mark(sqe, op::send, fd);
  }

  void end(unsigned fd) {
    sessions_[fd].reset();
    close_later(ring_, static_cast<int>(fd));
  }

  ring ring_;
  const int listener_;
  std::vector<std::unique_ptr<session>> sessions_;  // by descriptor
};

}  // namespace

void serve_one_shot(int listener) {
  one_shot_server server(listener);
  while (!stop_requested()) server.turn();
}

}  // namespace bench
