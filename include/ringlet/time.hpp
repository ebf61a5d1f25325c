// L0 base: durations and points in time, and a clock that tests can move; knows only std::chrono.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

namespace ringlet {

/// A length of time. units: nanoseconds.
using duration = std::chrono::nanoseconds;

/// A point in time of the loop's clock. Not wall-clock time.
using time_point = std::chrono::time_point<std::chrono::steady_clock, duration>;

/// The point in time that does not come: a wait until then has no deadline.
inline constexpr time_point never = time_point::max();

/// The point in time that is always past.
inline constexpr time_point long_ago = time_point::min();

namespace detail {

/// start + length, without overflow.
constexpr time_point later(time_point start, duration length) noexcept {
  if (length > duration::zero() && start > never - length) return never;
  return start + length;
}

}  // namespace detail

/// A clock for tests: stands still while a task can run, and jumps to the next timer when all of them wait.
/// lifetime: must outlive the run() that it was given to.
/// threads: the loop's thread only.
class virtual_clock {
 public:
  /// The time that the loop sees when it reads the clock next.
  time_point now() const noexcept { return now_; }

  /// Moves the clock forward; a point in the past leaves it as it is.
  void advance_to(time_point when) noexcept {
    if (when > now_) now_ = when;
  }

 private:
  time_point now_{std::chrono::hours(1)};  // Why: not zero, so that "an hour ago" is still a valid time.
};

}  // namespace ringlet
