// L3 sync: event, a flag that tasks wait for; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/late_wait.hpp>

namespace ringlet {

/// A flag that tasks wait for. Once set it stays set, and nobody waits, until clear().
/// threads: the loop's; from others through scheduler::post. lifetime: no task may wait when it is destroyed.
class event {
 public:
  event() = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event() { RINGLET_CHECK(waits_.empty(), "an event was destroyed with {} tasks waiting for it", waits_.size()); }

  /// Wakes every task that waits now.
  void set() noexcept {
    set_ = true;
    waits_.wake_all();
  }
  /// Those who wait from now on wait for the next set().
  void clear() noexcept { set_ = false; }
  /// True between set() and clear().
  bool is_set() const noexcept { return set_; }

  class [[nodiscard]] awaiter final : public detail::late_wait<awaiter> {
   public:
    static constexpr const char* waits_to = "wait for an event";

    explicit awaiter(event& e) noexcept : event_(e) {}
    bool await_ready() noexcept { return refuse_if_cancelled() || (event_.set_ && detail::within_budget()); }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
      if (event_.set_) return detail::preempt(here);
      park(here, event_.waits_);
      return detail::next_step();
    }
    void await_resume() const { throw_if_cancelled(); }

   private:
    event& event_;
  };

  /// Waits until the event is set; a task that was woken goes on even if it is cleared by then. cancel: safe.
  awaiter wait() noexcept { return awaiter(*this); }

 private:
  bool set_ = false;
  detail::wait_queue<awaiter::place> waits_;
};

}  // namespace ringlet
