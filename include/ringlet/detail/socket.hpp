// L4 io: a descriptor shared by the operations on it: at most one in each direction, and an orderly close.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/inflow.hpp>
#include <ringlet/detail/ref.hpp>
#include <ringlet/fd.hpp>

#include <cerrno>
#include <cstddef>

namespace ringlet::detail {

enum class direction : std::uint8_t { in, out };

/// What a descriptor stands for, and so by which operations bytes get in and out.
enum class medium : std::uint8_t { socket, pipe };

/// What a stream or listener is behind its handle. It has a fixed address, so the handle may move during an await, and
/// references to it may outlive the handle; the descriptor is closed when the handle goes.
class socket : public counted<socket> {
 public:
  explicit socket(unique_fd fd, medium m = medium::socket) noexcept : fd_(std::move(fd)), medium_(m), closed_(!fd_) {}
  ~socket() { delete input_; }
  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;
  void last_reference_gone() noexcept { delete this; }

  int fd() const noexcept { return fd_.get(); }
  bool is_pipe() const noexcept { return medium_ == medium::pipe; }
  bool closed() const noexcept { return closed_; }

  /// 0, or why nothing can begin in this direction: EBADF after close(), EBUSY while somebody uses it.
  int refusal(direction way) const noexcept {
    if (closed()) return EBADF;
    const bool visited = way == direction::in && input_ != nullptr && input_->visited();
    return visited || users_[static_cast<std::size_t>(way)] != nullptr ? EBUSY : 0;
  }
  /// Claims a direction for one operation. 0, or the refusal.
  int claim(direction way, io_op& op) noexcept {
    const int refused = refusal(way);
    if (refused == 0) user(way) = &op;
    return refused;
  }
  void give_up(direction way) noexcept {
    user(way) = nullptr;
    if (closed_) [[unlikely]]
      last_user_may_have_gone();
  }

  /// What comes in without being asked for each time; null until somebody wants it.
  inflow* input() const noexcept { return input_; }

  /// input(), which is made on first use.
  template <class Flow>
  Flow& input_as() {
    if (input_ == nullptr) input_ = new Flow(*this);
    return static_cast<Flow&>(*input_);
  }

  /// For input(): its last completion is in.
  void input_has_ended() noexcept;

  /// Ends the operations in flight with EBADF; true when the descriptor could be closed at once.
  bool begin_close() noexcept;

  /// Closes because the handle is gone. Aborts when an operation is in flight.
  void close_now() noexcept;

  class [[nodiscard]] close_awaiter final : public wait {
   public:
    explicit close_awaiter(ref<socket> s) noexcept : socket_(std::move(s)) {}
    bool await_ready() noexcept { return socket_->begin_close(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> here) noexcept {
      park(here, *this);
      socket_->closers_.push_back(*this);
    }
    void await_resume() const noexcept {}

    void cancel() noexcept override {}  // Why: a close always closes; the operations it waits for end at once.
    wait_text describe() const noexcept override { return {"close fd", socket_->fd()}; }

   private:
    friend class socket;
    ref<socket> socket_;
    close_awaiter* next_ = nullptr;
  };

 private:
  io_op*& user(direction way) noexcept { return users_[static_cast<std::size_t>(way)]; }
  bool busy() const noexcept;
  void last_user_may_have_gone() noexcept;
  void finish_close() noexcept;

  unique_fd fd_;
  io_op* users_[2] = {nullptr, nullptr};  // by direction; null: free
  inflow* input_ = nullptr;               // null: nobody has wanted it
  ref<socket> until_input_ends_;          // to itself, when the handle is gone; else null
  medium medium_;
  bool closed_;  // close() was called, or there never was a descriptor
  intrusive_queue<close_awaiter, &close_awaiter::next_> closers_;
};

// Of inflow.hpp, to which a socket is only a name.
inline bool inflow::visit::await_ready() noexcept {
  if (refuse_if_cancelled()) return true;
  refused_ = flow_->owner().refusal(direction::in);
  found_ = refused_ == 0 && flow_->finds_something();
  return refused_ != 0 || (found_ && within_budget());
}

/// The one handle that a socket belongs to. Null after a move.
class socket_owner {
 public:
  explicit socket_owner(unique_fd fd, medium m = medium::socket) : socket_(new socket(std::move(fd), m)) {}
  explicit socket_owner(ref<socket> s) noexcept : socket_(std::move(s)) {}
  socket_owner(socket_owner&&) = default;
  socket_owner& operator=(socket_owner&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~socket_owner() {
    if (socket_) socket_->close_now();
  }

  socket& operator*() const noexcept { return *socket_; }
  socket* operator->() const noexcept { return socket_.get(); }
  const ref<socket>& share() const noexcept { return socket_; }

 private:
  ref<socket> socket_;
};

}  // namespace ringlet::detail
