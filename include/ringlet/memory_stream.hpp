// L4 io: the two ends of a stream that lives in memory; knows the scheduler and the loop's large buffers.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/stream.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace ringlet {

namespace detail {

class memory_pipe;

/// Moves bytes into a memory_pipe or out of it, as there is room and as they come.
class memory_transfer : public wait {
 public:
  bool await_ready() noexcept;
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    if (!in_progress_) return preempt(here);
    park(here, *this);
    return next_step();
  }
  bool await_cancelled() const noexcept { return cancelled_; }
  std::error_code await_error() const noexcept { return {error_, std::generic_category()}; }

  void cancel() noexcept override;
  wait_text describe() const noexcept override;

 protected:
  enum class amount : std::uint8_t { some, all };

  /// done: kept up to date, also when the transfer fails; may be null.
  memory_transfer(memory_pipe& through, direction way, std::span<const std::byte> buffer, amount wanted,
                  std::size_t* done) noexcept
      : pipe_(&through), buffer_(buffer), done_(done), direction_(way), wanted_(wanted) {}

  void set_buffer(std::span<const std::byte> buffer) noexcept { buffer_ = buffer; }

  /// What was moved and what was to be moved. units: bytes. errors: what the transfer ended with.
  std::size_t take_result() const;
  std::size_t size() const noexcept { return buffer_.size(); }

 private:
  friend class memory_pipe;

  std::span<const std::byte> left() const noexcept { return buffer_.subspan(moved_); }
  bool satisfied() const noexcept { return moved_ > 0 && (wanted_ == amount::some || left().empty()); }
  void note_moved(std::size_t count) noexcept;
  void end(int error) noexcept;

  memory_pipe* pipe_;
  std::span<const std::byte> buffer_;
  std::size_t moved_ = 0;
  std::size_t* done_;
  int error_ = 0;  // errno; 0: none
  direction direction_;
  amount wanted_;
  bool in_progress_ = false;
  bool cancelled_ = false;
};

/// One read or write, of what there is or what there is room for.
class [[nodiscard]] memory_some final : public memory_transfer {
 public:
  memory_some(memory_pipe& through, direction way, std::span<const std::byte> buffer) noexcept
      : memory_transfer(through, way, buffer, amount::some, nullptr) {}
  std::size_t await_resume() const { return take_result(); }
};

/// All of the buffer.
class [[nodiscard]] memory_whole final : public memory_transfer {
 public:
  memory_whole(memory_pipe& through, direction way, std::span<const std::byte> buffer, std::size_t* done) noexcept
      : memory_transfer(through, way, buffer, amount::all, done) {}
  void await_resume() const;
};

/// What has come in, in a large buffer of the loop's.
class [[nodiscard]] memory_receive final : public memory_transfer {
 public:
  explicit memory_receive(memory_pipe& from) noexcept
      : memory_transfer(from, direction::in, {}, amount::some, nullptr) {}
  bool await_ready();
  chunk await_resume();

 private:
  buffer* space_ = nullptr;  // null: not begun; else what lease_ holds
  chunk lease_;
};

/// Does at once what cannot wait, and lets others run when the task has had its share.
class memory_step {
 public:
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) const noexcept {
    return preempt(here);
  }
};

class [[nodiscard]] memory_shutdown final : public memory_step {
 public:
  explicit memory_shutdown(memory_pipe& out) noexcept : out_(&out) {}
  bool await_ready() noexcept;
  bool await_cancelled() const noexcept { return cancelled_; }
  std::error_code await_error() const noexcept { return {error_, std::generic_category()}; }
  void await_resume() const;

 private:
  memory_pipe* out_;
  int error_ = 0;  // errno; 0: none
  bool cancelled_ = false;
};

class [[nodiscard]] memory_close final : public memory_step {
 public:
  memory_close(memory_pipe& in, memory_pipe& out) noexcept : in_(&in), out_(&out) {}
  bool await_ready() noexcept;
  void await_resume() const noexcept {}

 private:
  memory_pipe* in_;
  memory_pipe* out_;
};

}  // namespace detail

/// One end of a stream that lives in memory: a stand-in for a connection, in any loop, real or simulated. It does what
/// a socket_stream does. One task may read while another writes; a second reader or writer gets an os_error (EBUSY).
/// threads: the loop's. lifetime: closes at its end; no operation may be in flight then. May move during an await.
class memory_stream {
 public:
  /// Takes the end over.
  memory_stream(memory_stream&&) noexcept;
  memory_stream& operator=(memory_stream&& other) noexcept;
  ~memory_stream();

  /// Reads at least one byte; gives how many, 0 at the end (or when `to` is empty). errors: os_error.
  /// cancel: safe; what was read is returned, not lost. lifetime: `to` outlives the await.
  detail::memory_some read_some(std::span<std::byte> to) noexcept;

  /// Waits for bytes and gives them; an empty chunk at the end. Unlike a socket's it has its buffer while it waits.
  /// errors: os_error; std::bad_alloc. cancel: safe; what arrives meanwhile is for the next reader.
  detail::memory_receive receive() noexcept;

  /// Fills `to`. errors: os_error; end_of_stream. cancel: what was read by then is in `to`; `got` says how much it is.
  detail::memory_whole read_exactly(std::span<std::byte> to) noexcept;
  detail::memory_whole read_exactly(std::span<std::byte> to, std::size_t& got) noexcept;

  /// Writes at least one byte (none when `from` is empty); gives how many. errors: os_error; EPIPE once the peer is
  /// closed. cancel: safe; what was written is reported. lifetime: `from` outlives the await.
  detail::memory_some write_some(std::span<const std::byte> from) noexcept;

  /// Writes everything, in order. errors: as write_some(). cancel: part may be written by then; `sent` says how much.
  /// lifetime: `from` outlives the await.
  detail::memory_whole write_all(std::span<const std::byte> from) noexcept;
  detail::memory_whole write_all(std::string_view from) noexcept;
  detail::memory_whole write_all(std::span<const std::byte> from, std::size_t& sent) noexcept;
  detail::memory_whole write_all(std::string_view from, std::size_t& sent) noexcept;

  /// Tells the peer that nothing more comes; reading goes on. Twice, or after the peer has gone, is no error.
  /// errors: os_error. cancel: safe.
  detail::memory_shutdown shutdown_send() noexcept;

  /// Closes now: operations in flight end with os_error (EBADF). Twice is no error. cancel: closes all the same.
  detail::memory_close close() noexcept;

  /// True after close().
  bool closed() const noexcept;

 private:
  friend std::pair<memory_stream, memory_stream> memory_stream_pair(std::size_t capacity);

  memory_stream(detail::ref<detail::memory_pipe> in, detail::ref<detail::memory_pipe> out) noexcept;
  void close_now() noexcept;

  detail::ref<detail::memory_pipe> in_;  // null: moved from
  detail::ref<detail::memory_pipe> out_;
};

/// Two ends that are connected to each other. capacity: how far one may be ahead of the other, which is allocated at
/// once. units: bytes. errors: std::invalid_argument for 0; std::bad_alloc.
std::pair<memory_stream, memory_stream> memory_stream_pair(std::size_t capacity = 64 * 1024);

}  // namespace ringlet
