// Bench: the hand-written server on multishot receive: the kernel fills shared buffers, which are sent from as they
// are. SPDX-License-Identifier: MIT
#include "buffers.hpp"
#include "listener.hpp"
#include "servers.hpp"

#include <cerrno>
#include <system_error>

#include <sys/socket.h>

namespace bench {

namespace {

struct piece {
  const std::byte* bytes;
  unsigned size;
  unsigned buffer;
};

/// What is to be sent, oldest first; the first one may be on its way.
class piece_queue {
 public:
  bool empty() const noexcept { return first_ == pieces_.size(); }
  piece& front() noexcept { return pieces_[first_]; }
  piece& back() noexcept { return pieces_.back(); }
  std::size_t size() const noexcept { return pieces_.size() - first_; }
  void push(const piece& p) { pieces_.push_back(p); }
  void pop() noexcept {
    if (++first_ < pieces_.size()) return;
    pieces_.clear();
    first_ = 0;
  }

 private:
  std::vector<piece> pieces_;
  std::size_t first_ = 0;
};

struct session {
  piece_queue queue;
  bool receiving = false;
  bool sending = false;
  bool noted = false;  // is among those to be looked at before the next enter
  bool ended = false;  // nothing more comes
};

class multishot_server {
 public:
  multishot_server(int listener, multishot_style style)
      : listener_(listener), style_(style), buffers_(ring_, style.buffers, style.buffer_size, style.incremental) {
    if (style.direct) {
      const int result = io_uring_register_files_sparse(&ring_.native(), most_direct);
      if (result < 0) throw std::system_error(-result, std::system_category(), "io_uring_register_files");
    }
    accept_connections(ring_, listener_, style_.direct);
  }

  void turn() {
    ring_.turn([this](op what, unsigned index, const io_uring_cqe& cqe) { complete(what, index, cqe); });
    for (const unsigned index : noted_) proceed(index);
    noted_.clear();
    if (buffers_.publish()) receive_again();
  }

 private:
  static constexpr unsigned most_direct = 16 * 1024;

  void complete(op what, unsigned index, const io_uring_cqe& cqe) {
    if (what == op::receive) {
      received(index, cqe);
    } else if (what == op::send) {
      sent(index, cqe.res);
    } else if (what == op::accept) {
      if (cqe.res >= 0) begin(static_cast<unsigned>(cqe.res));
      if ((cqe.flags & IORING_CQE_F_MORE) == 0) accept_connections(ring_, listener_, style_.direct);
    }
  }

  void begin(unsigned index) {
    if (index >= sessions_.size()) sessions_.resize(2 * index + 1);
    sessions_[index] = session();
    receive(index);
  }

  void address(io_uring_sqe* sqe, op what, unsigned index) const {
    if (style_.direct) sqe->flags |= IOSQE_FIXED_FILE;
    ring::mark(sqe, what, index);
  }

  void receive(unsigned index) {
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_recv_multishot(sqe, static_cast<int>(index), nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = buffer_ring::group;
    address(sqe, op::receive, index);
    sessions_[index].receiving = true;
  }

  void received(unsigned index, const io_uring_cqe& cqe) {
    session& s = sessions_[index];
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      keep(s, {buffers_.take(cqe), static_cast<unsigned>(cqe.res), cqe.flags >> IORING_CQE_BUFFER_SHIFT});
    }
    note(index);
    if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
    s.receiving = false;
    if (cqe.res == -ENOBUFS) {
      starved_.push_back(index);
    } else if (cqe.res > 0) {
      receive(index);
    } else {
      s.ended = true;
    }
  }

  void keep(session& s, const piece& p) {
    if (p.size == 0 || s.ended) {
      buffers_.release(p.buffer);
      return;
    }
    const bool waits = s.queue.size() > (s.sending ? 1 : 0);
    if (waits && s.queue.back().buffer == p.buffer && s.queue.back().bytes + s.queue.back().size == p.bytes) {
      s.queue.back().size += p.size;
      buffers_.release(p.buffer);  // Why: the piece before keeps the buffer for both.
    } else {
      s.queue.push(p);
    }
  }

  void sent(unsigned index, int result) {
    session& s = sessions_[index];
    s.sending = false;
    note(index);
    if (result < 0) {
      give_up(s, static_cast<int>(index));
      return;
    }
    piece& p = s.queue.front();
    p.bytes += result;
    p.size -= static_cast<unsigned>(result);
    if (p.size > 0) return;
    buffers_.release(p.buffer);
    s.queue.pop();
  }

  // Nobody takes what was to be sent; the receive still has to end before the descriptor can be closed.
  void give_up(session& s, int index) {
    for (; !s.queue.empty(); s.queue.pop()) buffers_.release(s.queue.front().buffer);
    if (!s.receiving) {
      s.ended = true;
      return;
    }
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_shutdown(sqe, index, SHUT_RDWR);
    address(sqe, op::ignored, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }

  void note(unsigned index) {
    if (sessions_[index].noted) return;
    sessions_[index].noted = true;
    noted_.push_back(index);
  }

  void proceed(unsigned index) {
    session& s = sessions_[index];
    s.noted = false;
    if (s.sending) return;
    if (!s.queue.empty()) {
      send(index);
    } else if (s.ended) {
      close_later(ring_, static_cast<int>(index), style_.direct);
    }
  }

  void send(unsigned index) {
    session& s = sessions_[index];
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_send(sqe, static_cast<int>(index), s.queue.front().bytes, s.queue.front().size,
                       MSG_NOSIGNAL | MSG_WAITALL);
    address(sqe, op::send, index);
    s.sending = true;
  }

  void receive_again() {
    for (const unsigned index : starved_) {
      if (!sessions_[index].ended) receive(index);
      note(index);
    }
    starved_.clear();
  }

  ring ring_;
  const int listener_;
  const multishot_style style_;
  buffer_ring buffers_;
  std::vector<session> sessions_;  // by descriptor
  std::vector<unsigned> noted_;    // have something to send, or to end
  std::vector<unsigned> starved_;  // found no buffer
};

}  // namespace

void serve_multishot(int listener, multishot_style style) {
  multishot_server server(listener, style);
  while (!stop_requested()) server.turn();
}

}  // namespace bench
