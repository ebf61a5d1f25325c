// L4 io: reading from and writing to a connected socket; knows the driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/chunk.hpp>
#include <ringlet/detail/socket.hpp>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

namespace ringlet {

/// read_exactly() found the end of the stream first.
class end_of_stream : public std::runtime_error {
 public:
  /// got, wanted: units: bytes.
  end_of_stream(std::size_t got, std::size_t wanted);
};

namespace detail {

// The kernel's flags of a message. Why numbers: system headers stay in src/, where stream.cpp compares them.
inline constexpr std::uint32_t msg_wait_all = 0x100;    // MSG_WAITALL
inline constexpr std::uint32_t msg_no_signal = 0x4000;  // MSG_NOSIGNAL

/// What moves bytes one way: a read or write of a pipe; else a receive or send, with these flags.
inline io_request transfer_request(const socket& s, direction way, const void* buffer, std::size_t size,
                                   std::uint32_t flags) noexcept {
  const bool in = way == direction::in;
  const std::uint32_t length = request_length(size);
  if (s.is_pipe()) return {in ? io_code::read : io_code::write, s.fd(), buffer, length, 0, own_position};
  return {in ? io_code::receive : io_code::send, s.fd(), buffer, length, in ? flags : flags | msg_no_signal};
}

/// An operation in one direction of a socket, which no other one may use meanwhile.
class stream_op : public io_op {
 public:
  bool await_ready() noexcept {
    if (refuse_if_cancelled()) return true;
    const int refused = socket_->claim(direction_, *this);
    if (refused != 0) end_with(-refused);
    return refused != 0;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) noexcept {
    park(here, *this);
    start();
  }
  void complete(int result, buffer* filled, bool more) noexcept override;

 protected:
  stream_op(socket& s, direction way, const io_request& request) noexcept
      : io_op(request), socket_(&s), direction_(way) {}

  socket& target() const noexcept { return *socket_; }

  /// An empty buffer is done with at once, unless the stream is closed or the task cancelled.
  bool nothing_to_do() const noexcept { return request_.length == 0 && !socket_->closed() && !cancel_requested(); }

  /// Gives the direction up, when the operation ended without having been in flight.
  void finish() noexcept { socket_->give_up(direction_); }

 private:
  void submit_rest() noexcept final { start(); }  // Why: behind the part, there may be an end or a failure

  /// What has come in at the socket comes before what is still to come.
  void start() noexcept {
    inflow* before = direction_ == direction::in ? socket_->input() : nullptr;
    before != nullptr ? before->make_way_for(*this) : submit();
  }

  socket* socket_;
  direction direction_;
};

/// One receive or send; of a pipe, one read or write.
class [[nodiscard]] stream_transfer final : public stream_op {
 public:
  stream_transfer(socket& s, direction way, const void* buffer, std::size_t size) noexcept
      : stream_op(s, way, transfer_request(s, way, buffer, size, 0)) {}
  bool await_ready() noexcept { return nothing_to_do() || stream_op::await_ready(); }
  std::size_t await_resume() const { return static_cast<std::size_t>(take_result()); }
};

/// Makes the input of a socket that has none. Why apart from receive(): only the first one needs the call.
inflow& make_receiver(socket& s);

/// What has come in next, once there is something.
class [[nodiscard]] receive_awaiter final : public inflow::visit {
 public:
  explicit receive_awaiter(inflow& from) noexcept : visit(from) {}
  chunk await_resume();
};

/// As many receives or sends as it takes.
class [[nodiscard]] whole_transfer final : public stream_op {
 public:
  /// done: kept up to date, also when the transfer fails; may be null.
  whole_transfer(socket& s, direction way, const void* buffer, std::size_t size, std::size_t* done) noexcept
      : stream_op(s, way, transfer_request(s, way, buffer, size, msg_wait_all)),
        begin_(static_cast<const std::byte*>(buffer)),
        size_(size),
        done_(done) {
    const bool one_can_do = done == nullptr && request_.length == size;
    ask_below(one_can_do ? request_.length : any_result);
  }
  bool await_ready() noexcept {
    if (done_ != nullptr) *done_ = 0;
    if (nothing_to_do()) return true;
    return stream_op::await_ready() || (size_ >= large && within_budget() && sent_at_once());
  }
  void await_resume() const {
    if (!has_enough()) [[unlikely]]
      check_end();
  }

 private:
  // Measured: from here on a system call of its own costs less than bytes that have left the cache.
  static constexpr std::size_t large = 16 * 1024;

  bool more_to_do(int result) noexcept override;
  bool sent_at_once() noexcept;
  void check_end() const;
  /// By what more_to_do() was told, so not where has_enough(). Why no counter: request_ begins where that ends.
  std::size_t transferred() const noexcept {
    return static_cast<std::size_t>(static_cast<const std::byte*>(request_.address) - begin_);
  }

  const std::byte* begin_;
  std::size_t size_;
  std::size_t* done_;  // null: nobody wants to know
};

class [[nodiscard]] shutdown_awaiter final : public stream_op {
 public:
  explicit shutdown_awaiter(socket& s) noexcept;
  std::error_code await_error() const noexcept;
  void await_resume() const;

 private:
  bool peer_has_gone() const noexcept;
};

}  // namespace detail

/// A connected socket. One task may read while another writes; a second reader or writer gets an os_error (EBUSY).
/// threads: the loop's. lifetime: closes at its end; no operation may be in flight then. May move during an await.
class socket_stream {
 public:
  /// Takes over a connected socket.
  explicit socket_stream(unique_fd fd);

  /// Reads at least one byte; gives how many, 0 at the end (or when `to` is empty). errors: os_error.
  /// cancel: safe; what was read is returned, not lost. lifetime: `to` outlives the await.
  detail::stream_transfer read_some(std::span<std::byte> to) noexcept {
    return {*socket_, detail::direction::in, to.data(), to.size()};
  }

  /// Waits for bytes and gives them where the kernel put them, so that a connection that waits holds no memory; an
  /// empty chunk at the end. errors: os_error. cancel: safe; what arrives meanwhile is for the next reader.
  detail::receive_awaiter receive() {
    detail::inflow* const known = socket_->input();
    return detail::receive_awaiter(known != nullptr ? *known : detail::make_receiver(*socket_));
  }

  /// Fills `to`. errors: os_error; end_of_stream. cancel: what was read by then is in `to`; `got` says how much it is.
  detail::whole_transfer read_exactly(std::span<std::byte> to) noexcept { return fill(to, nullptr); }
  detail::whole_transfer read_exactly(std::span<std::byte> to, std::size_t& got) noexcept { return fill(to, &got); }

  /// Writes at least one byte (none when `from` is empty); gives how many. errors: os_error.
  /// cancel: safe; what was written is reported. lifetime: `from` outlives the await.
  detail::stream_transfer write_some(std::span<const std::byte> from) noexcept {
    return {*socket_, detail::direction::out, from.data(), from.size()};
  }

  /// Writes everything, in order. errors: os_error. cancel: part may be written by then; `sent` says how much.
  /// lifetime: `from` outlives the await.
  detail::whole_transfer write_all(std::span<const std::byte> from) noexcept { return send(from, nullptr); }
  detail::whole_transfer write_all(std::string_view from) noexcept { return send(from, nullptr); }
  detail::whole_transfer write_all(std::span<const std::byte> from, std::size_t& sent) noexcept {
    return send(from, &sent);
  }
  detail::whole_transfer write_all(std::string_view from, std::size_t& sent) noexcept { return send(from, &sent); }

  /// Tells the peer that nothing more comes; reading goes on. Twice, or after the peer has gone, is no error.
  /// errors: os_error. cancel: safe.
  detail::shutdown_awaiter shutdown_send() noexcept;

  /// Closes now: operations in flight end with os_error (EBADF), and are awaited first. Twice is no error.
  /// cancel: closes all the same.
  detail::socket::close_awaiter close() noexcept;

  /// Makes the close to come, by close() or by the destructor, drop unsent data and reset the connection.
  void reset_on_close() noexcept;

  /// -1 when closed.
  int fd() const noexcept { return socket_->fd(); }

  /// For services that keep an eye on the connection while somebody else owns the stream.
  const detail::ref<detail::socket>& observe() const noexcept { return socket_.share(); }

 protected:
  explicit socket_stream(detail::socket_owner s) noexcept : socket_(std::move(s)) {}

 private:
  detail::whole_transfer fill(std::span<std::byte> to, std::size_t* got) noexcept {
    return {*socket_, detail::direction::in, to.data(), to.size(), got};
  }
  template <class Bytes>
  detail::whole_transfer send(const Bytes& from, std::size_t* sent) noexcept {
    return {*socket_, detail::direction::out, from.data(), from.size(), sent};
  }

  detail::socket_owner socket_;
};

}  // namespace ringlet
