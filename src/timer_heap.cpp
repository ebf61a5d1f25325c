// L2 scheduler: the pairing heap of timers; knows only points in time.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/timer_heap.hpp>

#include <utility>

namespace ringlet::detail {

void timer_heap::add(timer& t, time_point deadline) noexcept {
  t.deadline_ = deadline;
  t.sequence_ = ++sequence_;
  t.child_ = t.next_ = t.previous_ = nullptr;
  root_ = meld(root_, &t);
}

timer& timer_heap::pop() noexcept {
  timer& first = *root_;
  root_ = merge_siblings(first.child_);
  first.sequence_ = 0;
  return first;
}

void timer_heap::remove(timer& t) noexcept {
  if (t.sequence_ == 0) return;
  if (&t == root_) {
    pop();
    return;
  }
  timer*& link = t.previous_->child_ == &t ? t.previous_->child_ : t.previous_->next_;
  link = t.next_;
  if (t.next_ != nullptr) t.next_->previous_ = t.previous_;
  t.sequence_ = 0;
  root_ = meld(root_, merge_siblings(t.child_));
}

// Both are roots; the later one becomes the first child of the earlier one.
timer* timer_heap::meld(timer* a, timer* b) noexcept {
  if (a == nullptr) return b;
  if (b == nullptr) return a;
  if (b->before(*a)) std::swap(a, b);
  b->next_ = a->child_;
  if (b->next_ != nullptr) b->next_->previous_ = b;
  b->previous_ = a;
  a->child_ = b;
  a->next_ = a->previous_ = nullptr;
  return a;
}

// Two passes: pairs from left to right, then the pairs from right to left. This is what bounds the heap's cost.
timer* timer_heap::merge_siblings(timer* first) noexcept {
  timer* pairs = nullptr;
  while (first != nullptr) {
    timer* second = first->next_;
    timer* rest = second == nullptr ? nullptr : second->next_;
    first->next_ = first->previous_ = nullptr;
    if (second != nullptr) second->next_ = second->previous_ = nullptr;
    timer* pair = meld(first, second);
    pair->next_ = pairs;
    pairs = pair;
    first = rest;
  }
  timer* root = nullptr;
  while (pairs != nullptr) {
    timer* rest = pairs->next_;
    pairs->next_ = nullptr;
    root = meld(root, pairs);
    pairs = rest;
  }
  return root;
}

}  // namespace ringlet::detail
