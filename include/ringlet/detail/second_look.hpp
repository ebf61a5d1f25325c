// L4 io: waits of which the task itself finds out, when its step begins, whether they are over; knows the running task.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/execution.hpp>

#include <coroutine>
#include <exception>

namespace ringlet::detail {

/// A wait of whose end it is only known that it may have come. The task looks when its turn has come, and waits on if
/// that was in vain. Why not when the news comes: what is read then has left the cache when the task goes on. And why
/// not in await_resume: it is too late to wait there.
class second_look : public wait {
 public:
  /// In the task's name, at the beginning of its step. True: the wait is over, and the task goes on.
  virtual bool look() noexcept = 0;

 protected:
  second_look() = default;
  second_look(const second_look&) = default;
  ~second_look() = default;

 private:
  friend class looker;
  std::coroutine_handle<> goes_on_at_;
};

/// The coroutine in which the steps of those tasks begin; one for all tasks of a loop.
class looker {
 public:
  looker() : frame_(begin_steps().handle) {}
  looker(const looker&) = delete;
  looker& operator=(const looker&) = delete;
  ~looker() { frame_.destroy(); }

  /// The task that waits becomes ready, and looks first. Invariant: until it has looked it counts as one that waits, so
  /// cancel() and describe() are called on `w`.
  void wake(second_look& w) noexcept {
    w.goes_on_at_ = w.waiter()->go_on_at(frame_);
    current.ready.push_back(*w.waiter());
  }

 private:
  struct coroutine {
    struct promise_type {
      coroutine get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() const noexcept { return {}; }
      std::suspend_always final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      void unhandled_exception() const noexcept { std::terminate(); }  // Why: nothing in it throws
    };
    std::coroutine_handle<> handle;
  };

  struct beginning {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
      auto& w = static_cast<second_look&>(*current.task->waiting_for());
      current.task->go_on_at(w.goes_on_at_);
      if (!w.look()) return next_step();
      current.task->unpark();
      return w.goes_on_at_;
    }
    void await_resume() const noexcept {}
  };

  static coroutine begin_steps() {
    for (;;) co_await beginning{};
  }

  std::coroutine_handle<> frame_;
};

}  // namespace ringlet::detail
