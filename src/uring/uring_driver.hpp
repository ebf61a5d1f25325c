// L4 io: the driver on the kernel's ring; knows liburing.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_op.hpp>
#include <ringlet/fd.hpp>

#include "buffer_ring.hpp"

#include <optional>

#include <liburing.h>

namespace ringlet::detail {

class uring_driver final : public io_driver {
 public:
  /// entries: null for the usual number. clock: null for the real one. errors: startup_error, os_error.
  uring_driver(std::optional<unsigned> entries, virtual_clock* clock);
  uring_driver(const uring_driver&) = delete;
  uring_driver& operator=(const uring_driver&) = delete;
  ~uring_driver();

  [[gnu::flatten]] void submit(io_op& op) noexcept override;
  void cancel(io_op& op) noexcept override;
  void end_input(int fd) noexcept override;
  void close(int fd) noexcept override;
  bool multishot() noexcept override;
  int try_now(const io_request& request) noexcept override;

  void wait(time_point deadline) noexcept override;
  void wake() noexcept override;
  std::size_t in_flight() const noexcept override;
  bool expects_completion() const noexcept override;
  const reactor_counters& counters() const noexcept override { return counters_; }

 private:
  /// Waits for wake() of another thread.
  class wake_up final : public io_op, private background {
   public:
    explicit wake_up(int fd) noexcept : io_op({io_code::poll_many, fd}) {}
    void arm() noexcept;
    void disarm() noexcept { cancel(); }
    void complete(int result, buffer* filled, bool more) noexcept override;
  };

  struct completion {
    void* op;  // null: a cancel request
    int result;
    std::uint32_t flags;
  };

  io_uring_sqe* sqe_at_hand() noexcept;
  io_uring_sqe* next_sqe() noexcept;
  [[gnu::noinline]] io_uring_sqe* sqe_after_submitting() noexcept;
  [[gnu::noinline]] void submit_unusual(io_op& op) noexcept;
  void start(io_op& op, const io_request& request, io_uring_sqe* sqe) noexcept;
  void request_end(io_op& op, io_uring_sqe* sqe) noexcept;
  void request_end_of_all() noexcept;
  void postpone(io_op& op) noexcept;
  bool start_postponed() noexcept;

  void enter_without_waiting() noexcept;
  void enter_and_wait(time_point deadline) noexcept;
  void wait_in_virtual_time(time_point deadline) noexcept;
  void check_enter(int result) noexcept;
  [[gnu::flatten]] void reap() noexcept;
  [[gnu::noinline]] void tell_of_submissions() noexcept;
  [[gnu::noinline]] void tell_of_completions(unsigned count) noexcept;
  void dispatch(const completion& done) noexcept;
  buffer* received(const completion& done) noexcept;

  unique_fd wake_fd_;
  wake_up wake_up_;
  io_uring ring_;                                       // Why last of what may fail: nothing would close it
  std::unique_ptr<buffer_ring, abandon_pool> buffers_;  // null: not wanted yet, or not to be had
  bool buffers_refused_;
  virtual_clock* clock_;             // null: the real one
  std::size_t in_flight_ = 0;        // operations with a last completion still to come
  intrusive_list<io_op> postponed_;  // first in, first out: what found no room in the submission queue
  reactor_counters counters_;
};

}  // namespace ringlet::detail
