// L2 scheduler: timers in a pairing heap whose links live in the timers; knows only points in time.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/time.hpp>

#include <cstdint>
#include <utility>

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

  void add(timer& t, time_point deadline) noexcept {
    t.deadline_ = deadline;
    t.sequence_ = ++sequence_;
    t.child_ = t.next_ = t.previous_ = nullptr;
    root_ = root_ == nullptr ? &t : meld(root_, &t);
  }

  timer& pop() noexcept;

  /// Does nothing for a timer that has fired or was never added.
  void remove(timer& t) noexcept {
    if (t.sequence_ == 0) return;
    if (&t == root_) {
      pop();
    } else {
      cut(t);
    }
  }

 private:
  static timer* meld(timer* a, timer* b) noexcept;
  static timer* merge_siblings(timer* first) noexcept;
  void cut(timer& t) noexcept;

  timer* root_ = nullptr;  // null: empty
  std::uint64_t sequence_ = 0;
};

/// Both are roots; the later one becomes the first child of the earlier one.
inline timer* timer_heap::meld(timer* a, timer* b) noexcept {
  if (b->before(*a)) std::swap(a, b);
  b->next_ = a->child_;
  if (b->next_ != nullptr) b->next_->previous_ = b;
  b->previous_ = a;
  a->child_ = b;
  a->next_ = a->previous_ = nullptr;
  return a;
}

/// Takes out one that is not the root.
inline void timer_heap::cut(timer& t) noexcept {
  timer*& link = t.previous_->child_ == &t ? t.previous_->child_ : t.previous_->next_;
  link = t.next_;
  if (t.next_ != nullptr) t.next_->previous_ = t.previous_;
  t.sequence_ = 0;
  if (t.child_ != nullptr) root_ = meld(root_, merge_siblings(t.child_));
}

}  // namespace ringlet::detail
