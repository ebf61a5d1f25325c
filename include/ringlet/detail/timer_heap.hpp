// L2 scheduler: timers in a pairing heap whose links live in the timers; knows only points in time.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/time.hpp>

#include <cstdint>

namespace ringlet::detail {

/// Something that happens at a point in time, unless it is removed from the heap before.
class timer {
 public:
  timer() = default;
  timer(const timer&) noexcept {}  // Why: awaiters move until they are awaited; a set timer is never copied.
  timer& operator=(const timer&) = delete;

  /// Called by the loop, once, when the deadline is past. Must not run user code.
  virtual void fire() noexcept = 0;

  time_point deadline() const noexcept { return deadline_; }

 protected:
  ~timer() = default;

 private:
  friend class timer_heap;

  bool before(const timer& other) const noexcept {
    return deadline_ != other.deadline_ ? deadline_ < other.deadline_ : sequence_ < other.sequence_;
  }

  time_point deadline_{};
  std::uint64_t sequence_ = 0;  // 0: not in the heap
  timer* child_ = nullptr;      // the first of the timers below this one
  timer* next_ = nullptr;       // sibling to the right
  timer* previous_ = nullptr;   // sibling to the left; for the first child its parent; null: the root
};

/// The earliest timer first; timers of the same deadline in the order in which they were added.
class timer_heap {
 public:
  bool empty() const noexcept { return root_ == nullptr; }
  time_point earliest() const noexcept { return root_->deadline_; }

  void add(timer& t, time_point deadline) noexcept;
  timer& pop() noexcept;

  /// Does nothing for a timer that has fired or was never added.
  void remove(timer& t) noexcept;

 private:
  static timer* meld(timer* a, timer* b) noexcept;
  static timer* merge_siblings(timer* first) noexcept;

  timer* root_ = nullptr;  // null: empty
  std::uint64_t sequence_ = 0;
};

}  // namespace ringlet::detail
