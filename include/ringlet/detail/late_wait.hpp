// L2 scheduler: awaiters that seldom wait, and take a place in a queue only when they do; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/wait_queue.hpp>

#include <new>

namespace ringlet::detail {

/// The common part of awaiters that wait in a queue, like queued_wait. Why another one: its place in the queue is not
/// made until it has to wait, which an await that is over at once need not pay for. Awaiter::waits_to says in a dump
/// what it waits for.
template <class Awaiter>
class late_wait : public cancel_note {
 public:
  /// What is in the queue.
  class place final : public wait, public list_links {
   public:
    explicit place(Awaiter& of) noexcept : awaiter_(of) {}

    Awaiter& awaiter() const noexcept { return awaiter_; }

    void cancel() noexcept override {
      if (!linked()) return;
      unlink();
      static_cast<late_wait&>(awaiter_).note_cancelled();
      this_loop().wake(*waiter());
    }
    wait_text describe() const noexcept override { return {Awaiter::waits_to}; }

   private:
    Awaiter& awaiter_;
  };

 protected:
  late_wait() noexcept {}
  late_wait(const late_wait&) noexcept
      : cancel_note() {}  // Why: awaiters move until they are awaited; a parked one is never copied.
  late_wait& operator=(const late_wait&) = delete;

  /// Parks the running task until its place is popped, or the wait is undone by place::cancel().
  template <class Promise>
  void park(std::coroutine_handle<Promise> here, wait_queue<place>& queue) noexcept {
    queue.park(here, *::new (static_cast<void*>(&place_)) place(static_cast<Awaiter&>(*this)));
  }

 private:
  union {
    place place_;  // made by park()
  };
};

}  // namespace ringlet::detail
