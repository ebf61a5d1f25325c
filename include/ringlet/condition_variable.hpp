// L3 sync: condition variables, at which tasks wait for what a mutex guards to change; knows the mutex.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/mutex.hpp>

#include <concepts>
#include <cstddef>
#include <stdexcept>

namespace ringlet {

/// Tasks wait here, without holding the mutex, until somebody says that what it guards has changed.
/// threads: the loop's. lifetime: no task may wait when it is destroyed.
class condition_variable {
 public:
  condition_variable() = default;
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;
  ~condition_variable() {
    RINGLET_CHECK(waits_.empty(), "a condition variable was destroyed with {} tasks waiting", waits_.size());
  }

  /// Unlocks, waits to be notified, and locks again, however the wait has ended. No notification is missed between
  /// unlocking and waiting. errors: std::logic_error when the guard holds nothing.
  /// cancel: safe; a task that was notified before goes on, and the request is seen at the next await; else the
  /// notification is somebody else's. Either way the mutex is held.
  /// lifetime: the guard and its mutex outlive the await.
  task<> wait(mutex::guard& held) {
    mutex& m = mutex_of(held);
    co_await checkpoint();
    held.unlock();
    const detail::outcome<void> woken = co_await detail::as_outcome(notification(*this));
    held = co_await shield(m.lock());
    if (woken.was_cancelled()) throw cancelled{};
  }

  /// The same, again and again until `done()` is true; not at all when it is to begin with.
  /// done: called with the mutex held; what it throws comes out.
  template <class Done>
    requires std::predicate<std::decay_t<Done>&>
  task<> wait(mutex::guard& held, Done&& done) {
    RINGLET_REQUIRE_SAFE_CLOSURE(Done);
    return wait_until_true<std::decay_t<Done>>(held, std::forward<Done>(done));
  }

  /// Wakes the `most` tasks that have waited longest. Each goes on once it has the mutex.
  void notify(std::size_t most = 1) noexcept {
    while (most > 0 && waits_.wake_one() != nullptr) --most;
  }
  /// Wakes every task that waits now.
  void notify_all() noexcept { waits_.wake_all(); }

 private:
  class notification final : public detail::late_wait<notification> {
   public:
    static constexpr const char* waits_to = "wait for a condition";

    explicit notification(condition_variable& c) noexcept : condition_(c) {}
    bool await_ready() noexcept { return refuse_if_cancelled(); }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
      park(here, condition_.waits_);
      return detail::next_step();
    }
    void await_resume() const { throw_if_cancelled(); }

   private:
    condition_variable& condition_;
  };

  static mutex& mutex_of(const mutex::guard& held) {
    if (!held) throw std::logic_error("condition_variable: waiting takes a mutex that is held");
    return *held.held();
  }

  template <class Done>
  task<> wait_until_true(mutex::guard& held, Done done) {
    mutex_of(held);
    while (!done()) co_await wait(held);
  }

  detail::wait_queue<notification::place> waits_;
};

}  // namespace ringlet
