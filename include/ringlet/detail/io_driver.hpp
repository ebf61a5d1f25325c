// L4 io: the driver that carries operations out: the kernel's ring, or a simulation; knows only requests.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/buffer.hpp>
#include <ringlet/detail/intrusive.hpp>
#include <ringlet/detail/reactor.hpp>
#include <ringlet/detail/second_look.hpp>

#include <cstdint>

namespace ringlet::detail {

class io_op;

enum class io_code : std::uint8_t {
  read,
  write,
  receive,
  receive_many,  // multishot, into buffers of the driver
  send,
  accept,
  accept_many,  // multishot
  connect,
  poll,
  poll_many,  // multishot
  shutdown,
  open,
  sync,
};

/// What is asked of the driver, in the terms of the system call of the same name. Why in this order: no gaps.
struct io_request {
  io_code code;
  int fd;
  const void* address = nullptr;  // buffer, socket address or path
  std::uint32_t length = 0;       // of the buffer; for shutdown: how; for open: permissions
  std::uint32_t flags = 0;        // MSG_, SOCK_, POLL, O_ or IORING_FSYNC_ flags
  std::uint64_t offset = 0;       // of the file; for connect: the address's length
};

/// The offset that stands for: wherever the descriptor is.
inline constexpr std::uint64_t own_position = ~std::uint64_t{0};

/// The part of a buffer that one request can ask for. Why: the kernel transfers less than 2 GiB at a time.
constexpr std::uint32_t request_length(std::size_t size) noexcept {
  constexpr std::size_t largest = 0x7ffff000;
  return static_cast<std::uint32_t>(size < largest ? size : largest);
}

/// A request that goes on by itself. Only while a task waits for what it brings does it keep the loop from a deadlock.
class background : public list_links {
 public:
  bool attended() const noexcept { return attended_; }
  void attend(bool yes) noexcept { attended_ = yes; }

 private:
  bool attended_ = false;
};

/// Is told what the driver is asked for and what comes of it. For the tracer.
class io_observer {
 public:
  virtual void submitted(const io_op& op) noexcept = 0;
  /// As io_op::complete() is told, and before it.
  virtual void completed(const io_op& op, int result, bool more) noexcept = 0;

 protected:
  io_observer() = default;
  ~io_observer() = default;
};

class io_driver : public reactor {
 public:
  /// Queues the operation. Its completions come later, from wait(), never from in here. Cannot fail:
  /// what there is no room for waits in the driver, in order.
  virtual void submit(io_op& op) noexcept = 0;

  /// Asks for an early end of an operation in flight. It still completes exactly once for good, in its own time.
  virtual void cancel(io_op& op) noexcept = 0;

  /// Who reads the descriptor gets what has arrived, and then the end of the stream.
  virtual void end_input(int fd) noexcept = 0;

  /// Closes a descriptor that no operation in flight uses.
  virtual void close(int fd) noexcept = 0;

  /// False: receive_many and accept_many may not be asked for.
  virtual bool multishot() noexcept = 0;

  /// Reads, receives, writes or sends as the request says, but never waits: -EAGAIN when it would have to.
  virtual int try_now(const io_request& request) noexcept = 0;

  /// null: nobody. lifetime: of `o`, until the next call.
  void observe_operations(io_observer* o) noexcept { observer_ = o; }

  large_buffers& spare_buffers() noexcept { return spare_buffers_; }
  looker& looks() noexcept { return looks_; }

  void add_background(background& request) noexcept {
    background_.push_back(request);
    ++background_count_;
  }
  void remove_background(background& request) noexcept {
    request.unlink();
    --background_count_;
  }

 protected:
  io_driver() = default;
  ~io_driver() { spare_buffers_.abandon(); }

  io_observer* observer() const noexcept { return observer_; }

  /// How many requests go on although no task waits for what they bring.
  std::size_t unattended() const noexcept;
  bool attends_any() const noexcept;
  std::size_t in_background() const noexcept { return background_count_; }

 private:
  large_buffers& spare_buffers_ = *new large_buffers;  // Why not a member: buffers on loan may outlive the driver
  looker looks_;
  io_observer* observer_ = nullptr;  // null: nobody
  intrusive_list<background> background_;
  std::size_t background_count_ = 0;
};

inline constinit thread_local io_driver* current_driver = nullptr;

/// The driver of this thread's loop.
inline io_driver& this_driver() noexcept {
  return *current_driver;
}

}  // namespace ringlet::detail
