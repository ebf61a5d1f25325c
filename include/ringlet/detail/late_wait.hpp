// L2 scheduler: awaiters that seldom wait, and take a place in a queue only when they do; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/wait_queue.hpp>

#include <new>

namespace ringlet::detail {

/// The common part of awaiters that wait in a queue, like queued_wait. Why another one: its place in the queue is not
/// made until it has to wait, which an await that is over at once need not pay for.
template <class Awaiter>
class late_wait {
 public:
  /// What is in the queue.
  class place final : public queued_wait {
   public:
    place(Awaiter& of, const char* what) noexcept : awaiter_(of), what_(what) {}

    Awaiter& awaiter() const noexcept { return awaiter_; }

    void cancel() noexcept override {
      if (linked()) awaiter_.cancelled_ = true;
      queued_wait::cancel();
    }
    wait_text describe() const noexcept override { return {what_}; }

   private:
    Awaiter& awaiter_;
    const char* what_;
  };

  bool await_cancelled() const noexcept { return cancelled_; }

 protected:
  late_wait() noexcept {}
  late_wait(const late_wait&) noexcept {}  // Why: awaiters move until they are awaited; a parked one is never copied.
  late_wait& operator=(const late_wait&) = delete;

  /// For await_ready: true when the task is cancelled and must not even try.
  bool refuse_if_cancelled() noexcept {
    cancelled_ = cancel_requested();
    return cancelled_;
  }

  void throw_if_cancelled() const {
    if (cancelled_) [[unlikely]]
      throw cancelled{};
  }

  /// Parks the running task until its place is popped, or the wait is undone by place::cancel(). what: for dumps.
  template <class Promise>
  void park(std::coroutine_handle<Promise> here, wait_queue<place>& queue, const char* what) noexcept {
    queue.park(here, *::new (static_cast<void*>(&place_)) place(static_cast<Awaiter&>(*this), what));
  }

 private:
  union {
    place place_;  // made by park()
  };
  bool cancelled_ = false;
};

}  // namespace ringlet::detail
