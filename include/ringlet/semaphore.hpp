// L3 sync: semaphores, which let a number of tasks in at a time; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/late_wait.hpp>

#include <cstddef>
#include <stdexcept>

namespace ringlet {

/// A number of permits, given out in the order of asking.
/// threads: the loop's. lifetime: no task may wait when it is destroyed.
class semaphore {
 public:
  /// permits: how many there are to begin with.
  explicit semaphore(std::size_t permits) noexcept : free_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore() { RINGLET_CHECK(waits_.empty(), "a semaphore was destroyed with {} tasks waiting", waits_.size()); }

  class [[nodiscard]] awaiter final : public detail::late_wait<awaiter> {
   public:
    static constexpr const char* waits_to = "acquire a semaphore";

    explicit awaiter(semaphore& s) noexcept : semaphore_(s) {}
    bool await_ready() noexcept {
      if (refuse_if_cancelled()) return true;
      taken_ = semaphore_.try_acquire();
      return taken_ && detail::within_budget();
    }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
      if (taken_) return detail::preempt(here);
      park(here, semaphore_.waits_);
      return detail::next_step();
    }
    void await_resume() const { throw_if_cancelled(); }

   private:
    semaphore& semaphore_;
    bool taken_ = false;
  };

  /// Waits for a permit, which release() gives back.
  /// cancel: safe; a permit that was handed over is the task's, and the cancel request is seen at the next await.
  awaiter acquire() noexcept { return awaiter(*this); }

  /// False when there is no permit. Never suspends.
  bool try_acquire() noexcept {
    if (free_ == 0) return false;
    --free_;
    return true;
  }

  /// Gives permits back; each goes to the oldest waiter, if there is one.
  void release(std::size_t permits = 1) noexcept {
    for (; permits > 0; --permits) {
      if (waits_.wake_one() == nullptr) ++free_;
    }
  }

  /// Permits that nobody has.
  std::size_t available() const noexcept { return free_; }

 private:
  std::size_t free_;  // Invariant: zero while somebody waits
  detail::wait_queue<awaiter::place> waits_;
};

/// A semaphore that does not grow: giving back more than was taken is an error. threads, lifetime: as semaphore.
class bounded_semaphore : private semaphore {
 public:
  /// permits: how many there are to begin with, and at most.
  explicit bounded_semaphore(std::size_t permits) noexcept : semaphore(permits), bound_(permits) {}

  using semaphore::acquire;
  using semaphore::available;
  using semaphore::try_acquire;

  /// As semaphore::release. errors: std::logic_error when there would be more permits than at the beginning.
  void release(std::size_t permits = 1) {
    if (permits > bound_ - available()) throw std::logic_error("bounded_semaphore: more released than was acquired");
    semaphore::release(permits);
  }

 private:
  std::size_t bound_;
};

}  // namespace ringlet
