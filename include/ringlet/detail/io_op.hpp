// L4 io: one operation in flight, and the rules by which it ends; knows the driver and the scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/intrusive.hpp>
#include <ringlet/detail/io_driver.hpp>
#include <ringlet/error.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/task.hpp>

namespace ringlet::detail {

/// The result of a request that a signal or the like has ended: it has not happened, and nothing is wrong.
bool is_interruption(int result) noexcept;

/// An operation and the wait for it. It lives in the awaiter, so in the frame of the task that awaits it; the task
/// stays suspended until the last completion is in. So the kernel never writes to memory that is gone. Done beats
/// cancelled: what the operation's own last completion reports is what the await gives.
class io_op : public wait, public list_links {
 public:
  // --- For the driver

  /// One completion. filled: what was received, on loan; null unless it was asked for. more: the operation goes on.
  virtual void complete(int result, buffer* filled, bool more) noexcept;

  /// What to ask the kernel for.
  io_request request() const noexcept { return polling_ ? readiness_request() : request_; }
  /// The same, without a copy, when not polls_first().
  const io_request& plain_request() const noexcept { return request_; }
  bool polls_first() const noexcept { return polling_; }

  bool end_requested() const noexcept { return cancelling(); }
  bool with_kernel() const noexcept { return with_kernel_; }
  void set_with_kernel(bool yes) noexcept { with_kernel_ = yes; }

  // --- For awaiters

  void cancel() noexcept override;
  wait_text describe() const noexcept override;

  /// It counts as begun, and somebody else will submit or complete it.
  void await_turn() noexcept { state_ = state::in_flight; }

  /// Somebody else closes what this operation works on: it ends early, as an error and not as cancelled.
  void abort(int error) noexcept;

  bool await_cancelled() noexcept { return state_ == state::cancelled; }

  /// The error that await_resume() would throw; none for success.
  std::error_code await_error() const noexcept {
    return result_ < 0 ? std::error_code(-result_, std::generic_category()) : std::error_code();
  }

 protected:
  explicit io_op(const io_request& request) noexcept : request_(request) {}
  io_op(const io_op& other) noexcept
      : wait(other), list_links(), request_(other.request_), asked_below_(other.asked_below_) {
    RINGLET_CHECK(other.state_ == state::idle, "an operation was moved while it was in flight");
  }
  ~io_op() { RINGLET_CHECK(!in_flight(), "an operation was destroyed while the kernel had it"); }

  /// For await_ready: true when the task is cancelled, so that nothing is begun.
  bool refuse_if_cancelled() noexcept {
    if (!cancel_requested()) return false;
    state_ = state::cancelled;
    return true;
  }

  /// For await_suspend: parks the task and hands the operation to the driver.
  template <class Promise>
  void begin(std::coroutine_handle<Promise> here) noexcept {
    park(here, *this);
    submit();
  }

  void submit() noexcept {
    state_ = state::in_flight;
    this_driver().submit(*this);
  }

  /// What complete() does; true when the operation is over. Why apart: classes that do more than that in complete()
  /// have it in line.
  bool end_or_go_on(int result) noexcept {
    const bool all_has_happened = result >= 0 && !polling_ && is_enough(result);
    if (!all_has_happened) [[unlikely]]
      return look_into(result);
    end_with(result);
    this_loop().wake(*waiter());
    return true;
  }

  /// Sets the result. Wakes nobody, and does not hear of the driver.
  void end_with(int result) noexcept {
    result_ = result;
    state_ = state::done;
  }

  /// True for a result that only asks to be tried again: nothing has happened, and nothing is wrong.
  virtual bool is_transient(int result) const noexcept;

  /// more_to_do() is asked about results below this. Where it is not said, about none.
  void ask_below(std::uint32_t count) noexcept { asked_below_ = count; }
  static constexpr std::uint32_t any_result = ~std::uint32_t{0};
  bool has_enough() const noexcept { return succeeded() && is_enough(result_); }

  /// Takes note of a result. True: that was only a part; request_ now says what is left.
  virtual bool more_to_do(int) noexcept { return false; }
  /// Asks for what is left.
  virtual void submit_rest() noexcept { submit(); }

  /// What the operation gave, or throws os_error or `cancelled`.
  int take_result() const {
    if (result_ < 0 || state_ == state::cancelled) [[unlikely]]
      throw_failure();
    return result_;
  }
  virtual os_error make_error(int error) const;

  bool succeeded() const noexcept { return state_ == state::done && result_ >= 0; }
  bool in_flight() const noexcept { return state_ == state::in_flight || state_ == state::cancelling; }
  bool cancelling() const noexcept { return state_ == state::cancelling; }
  int result() const noexcept { return result_; }

  io_request request_;

 private:
  enum class state : std::uint8_t {
    idle,        // not begun
    in_flight,   // the driver has it
    cancelling,  // the driver has it, and was asked to end it
    cancelled,   // ended early, or never begun, because its task was cancelled
    done,        // ended by itself; result_ counts
  };

  [[noreturn]] void throw_failure() const;
  bool is_enough(int result) const noexcept { return static_cast<std::uint32_t>(result) >= asked_below_; }
  bool look_into(int result) noexcept;
  void end_early() noexcept;
  io_request readiness_request() const noexcept;

  /// The kernel's ways of saying "not now", or "not this one": nothing has happened, and nobody needs to know.
  bool asks_to_repeat(int result) const noexcept;
  bool is_early_end(int result) const noexcept;
  void repeat(int result) noexcept;

  int result_ = 0;  // negative: -errno
  std::uint32_t asked_below_ = 0;
  int abort_error_ = 0;  // 0: not aborted
  state state_ = state::idle;
  bool polling_ = false;      // waits for readiness first, then asks again
  bool with_kernel_ = false;  // started, and its last completion is still to come
};

}  // namespace ringlet::detail
