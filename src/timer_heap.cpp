// L2 scheduler: the pairing heap of timers; knows only points in time.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/timer_heap.hpp>

namespace ringlet::detail {

timer& timer_heap::pop() noexcept {
  timer& first = *root_;
  root_ = merge_siblings(first.child_);
  first.sequence_ = 0;
  return first;
}

// Two passes: pairs from left to right, then the pairs from right to left. This is what bounds the heap's cost.
timer* timer_heap::merge_siblings(timer* first) noexcept {
  timer* pairs = nullptr;
  while (first != nullptr) {
    timer* second = first->next_;
    timer* rest = second == nullptr ? nullptr : second->next_;
    first->next_ = first->previous_ = nullptr;
    if (second != nullptr) second->next_ = second->previous_ = nullptr;
    timer* pair = second == nullptr ? first : meld(first, second);
    pair->next_ = pairs;
    pairs = pair;
    first = rest;
  }
  timer* root = nullptr;
  while (pairs != nullptr) {
    timer* rest = pairs->next_;
    pairs->next_ = nullptr;
    root = root == nullptr ? pairs : meld(root, pairs);
    pairs = rest;
  }
  return root;
}

}  // namespace ringlet::detail
