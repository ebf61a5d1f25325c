// L3 sync: latches, which count down once and then let everybody through; knows events and cancelling.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/event.hpp>
#include <ringlet/task.hpp>

#include <cstddef>
#include <stdexcept>

namespace ringlet {

/// A count that tasks wait for to get to zero, once. As std::latch, but between tasks.
/// threads: the loop's. lifetime: no task may wait when it is destroyed.
class latch {
 public:
  /// expected: what it counts down from.
  explicit latch(std::size_t expected) noexcept : left_(expected) {
    if (left_ == 0) zero_.set();
  }

  /// errors: std::logic_error, and nothing is counted, when fewer are left.
  void count_down(std::size_t by = 1) {
    if (by > left_) throw std::logic_error("latch: counted down below zero");
    left_ -= by;
    if (left_ == 0) zero_.set();
  }

  /// True once the count is zero. Never suspends.
  bool try_wait() const noexcept { return left_ == 0; }
  /// Waits until the count is zero. cancel: safe.
  event::awaiter wait() noexcept { return zero_.wait(); }

  /// Counts down and waits. errors: as count_down(). cancel: before it begins, nothing is counted; later the count
  /// stays.
  task<> arrive_and_wait(std::size_t by = 1) {
    co_await checkpoint();
    count_down(by);
    co_await wait();
  }

  /// What is left to count.
  std::size_t left() const noexcept { return left_; }

 private:
  std::size_t left_;
  event zero_;  // set once left_ is 0
};

}  // namespace ringlet
