// L2 scheduler: waits for time to pass, or for a turn; knows only the scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/scheduler.hpp>
#include <ringlet/task.hpp>

namespace ringlet {

namespace detail {

/// A wait that a timer ends.
class sleep_awaiter : public wait, private timer {
 public:
  explicit sleep_awaiter(duration length) noexcept : length_(length) {}
  explicit sleep_awaiter(time_point deadline) noexcept : deadline_(deadline) {}

  bool await_ready() noexcept {
    cancelled_ = cancel_requested();
    return cancelled_;
  }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) noexcept {
    scheduler& loop = this_loop();
    const time_point deadline = deadline_ == never ? later(loop.now(), length_) : deadline_;
    const bool only_a_turn = deadline <= loop.now();
    park(here, *this);
    if (only_a_turn) {
      loop.wake(*waiter());
    } else if (deadline != never) {
      loop.add_timer(*this, deadline);
    }
  }

  bool await_cancelled() noexcept { return cancelled_; }
  void await_resume() const {
    if (cancelled_) throw ringlet::cancelled{};
  }

  void cancel() noexcept override {
    cancelled_ = true;
    this_loop().remove_timer(*this);
    this_loop().wake(*waiter());
  }

  wait_text describe() const noexcept override { return {"sleep"}; }

 private:
  void fire() noexcept override { this_loop().wake(*waiter()); }

  duration length_ = duration::max();
  time_point deadline_ = never;  // never: length_ counts
  bool cancelled_ = false;
};

class yield_awaiter {
 public:
  bool await_ready() noexcept {
    cancelled_ = cancel_requested();
    return cancelled_;
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) const noexcept {
    return preempt(here);
  }
  bool await_cancelled() noexcept { return cancelled_; }
  void await_resume() const {
    if (cancelled_) throw cancelled{};
  }

 private:
  bool cancelled_ = false;
};

}  // namespace detail

/// Suspends for at least this long; zero or less gives the other ready tasks one turn.
/// cancel: safe.
[[nodiscard]] inline detail::sleep_awaiter sleep_for(any_duration length) noexcept {
  return detail::sleep_awaiter(length);
}

/// Suspends until the loop's clock has reached this point; one that is past gives the other ready tasks one turn.
/// cancel: safe.
[[nodiscard]] inline detail::sleep_awaiter sleep_until(time_point when) noexcept {
  return detail::sleep_awaiter(when);
}

/// Suspends for ever. cancel: the only end: throws `cancelled` like every await.
[[nodiscard]] inline detail::sleep_awaiter sleep_forever() noexcept {
  return detail::sleep_awaiter(never);
}

/// Gives every task that is ready now its turn. cancel: safe.
[[nodiscard]] inline detail::yield_awaiter yield_now() noexcept {
  return {};
}

/// Ticks at a fixed rate from its construction on. Ticks that the task was too late for are left out.
class ticker {
 public:
  /// period: more than zero. errors: std::invalid_argument.
  explicit ticker(any_duration period);

  class [[nodiscard]] awaiter final : public detail::sleep_awaiter {
   public:
    awaiter(ticker& t, time_point tick) noexcept : sleep_awaiter(tick), ticker_(t), tick_(tick) {}
    void await_resume() const {
      sleep_awaiter::await_resume();
      ticker_.next_ = detail::later(tick_, ticker_.period_);
    }

   private:
    ticker& ticker_;
    time_point tick_;
  };

  /// Suspends until the next tick. cancel: safe, the tick comes later.
  awaiter next() noexcept;

 private:
  duration period_;
  time_point next_;  // the first tick that was not given yet
};

}  // namespace ringlet
