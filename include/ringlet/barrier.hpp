// L3 sync: barriers, at which tasks wait for each other again and again; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/wait_queue.hpp>

#include <cstddef>
#include <stdexcept>

namespace ringlet {

/// Thrown at a barrier that was aborted, or reset while the task waited.
class broken_barrier : public std::runtime_error {
 public:
  /// Says no more than that.
  broken_barrier() : std::runtime_error("the barrier is broken") {}
};

/// Lets tasks go on as soon as so many have arrived, and then begins anew.
/// threads: the loop's. lifetime: no task may wait when it is destroyed.
class barrier {
 public:
  /// parties: how many tasks have to arrive. errors: std::invalid_argument for none.
  explicit barrier(std::size_t parties) : parties_(parties) {
    if (parties == 0) throw std::invalid_argument("barrier: at least one task has to arrive");
  }
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;
  ~barrier() { RINGLET_CHECK(waits_.empty(), "a barrier was destroyed with {} tasks waiting", waits_.size()); }

  class [[nodiscard]] awaiter final : public detail::queued_wait {
   public:
    explicit awaiter(barrier& b) noexcept : barrier_(b) {}

    bool await_ready() noexcept {
      if (refuse_if_cancelled()) return true;
      broken_ = barrier_.broken_;
      last_ = !broken_ && barrier_.waiting_ + 1 == barrier_.parties_;
      if (last_) index_ = barrier_.let_all_go();
      return (broken_ || last_) && detail::within_budget();
    }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
      if (broken_ || last_) return detail::preempt(here);
      ++barrier_.waiting_;
      barrier_.waits_.park(here, *this);
      return detail::next_step();
    }
    std::size_t await_resume() const {
      throw_if_cancelled();
      if (broken_) throw broken_barrier();
      return index_;
    }

    void cancel() noexcept override {
      if (!linked()) return;
      --barrier_.waiting_;
      queued_wait::cancel();
    }
    detail::wait_text describe() const noexcept override { return {"wait at a barrier"}; }

   private:
    friend class barrier;
    barrier& barrier_;
    std::size_t index_ = 0;
    bool broken_ = false;
    bool last_ = false;  // whom all others have waited for
  };

  /// Waits until as many have arrived as there are parties; gives each another index, from 0 on in the order of
  /// arrival. errors: broken_barrier.
  /// cancel: safe; the task then counts as not arrived. Once the last one has come it is through, and the request is
  /// seen at the next await.
  awaiter arrive_and_wait() noexcept { return awaiter(*this); }

  /// Breaks it: who waits, and who arrives from now on, gets broken_barrier.
  void abort() noexcept {
    broken_ = true;
    turn_all_away();
  }
  /// Mends it, for who arrives from now on; who waits gets broken_barrier.
  void reset() noexcept {
    broken_ = false;
    turn_all_away();
  }

  /// True between abort() and reset().
  bool broken() const noexcept { return broken_; }
  /// Tasks that have to arrive.
  std::size_t parties() const noexcept { return parties_; }
  /// Tasks that have arrived and wait for the others.
  std::size_t waiting() const noexcept { return waiting_; }

 private:
  awaiter* pop() noexcept {
    awaiter* const next = waits_.wake_one();
    if (next != nullptr) --waiting_;
    return next;
  }
  std::size_t let_all_go() noexcept {
    std::size_t index = 0;
    while (awaiter* next = pop()) next->index_ = index++;
    return index;
  }
  void turn_all_away() noexcept {
    while (awaiter* next = pop()) next->broken_ = true;
  }

  std::size_t parties_;
  std::size_t waiting_ = 0;  // Invariant: less than parties_
  bool broken_ = false;
  detail::wait_queue<awaiter> waits_;
};

}  // namespace ringlet
