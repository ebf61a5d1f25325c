// L0 base: durations and points in time, and a clock that tests can move; knows only std::chrono.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <type_traits>

namespace ringlet {

/// A length of time. units: nanoseconds.
using duration = std::chrono::nanoseconds;

/// A point in time of the loop's clock. Not wall-clock time.
using time_point = std::chrono::time_point<std::chrono::steady_clock, duration>;

/// A length of time in any unit, as functions take it: 5ms, 0.5s, years(1000). What is too long for a duration becomes
/// the longest one, and no number at all becomes zero.
class any_duration {
 public:
  /// From any of std::chrono's.
  template <class Rep, class Period>
  constexpr any_duration(std::chrono::duration<Rep, Period> length) noexcept : length_(within_limits(length)) {}
  /// From what becomes a duration by itself.
  template <class T>
    requires std::is_convertible_v<const T&, duration>
  constexpr any_duration(const T& length) : length_(length) {}
  /// What it is in nanoseconds.
  constexpr operator duration() const noexcept { return length_; }

 private:
  template <class Rep, class Period>
  static constexpr duration within_limits(std::chrono::duration<Rep, Period> length) noexcept {
    constexpr double limit = 9.2e18;  // a bit less than there is room for
    constexpr double exact = 1e15;    // above it, what a conversion multiplies first may be too much
    const double nanoseconds = static_cast<double>(length.count()) * 1e9 * Period::num / Period::den;
    if (nanoseconds >= limit) return duration::max();
    if (nanoseconds <= -limit) return duration::min();
    if (nanoseconds != nanoseconds) return duration::zero();
    const bool is_large = nanoseconds > exact || nanoseconds < -exact;
    return is_large ? duration(static_cast<duration::rep>(nanoseconds)) : std::chrono::duration_cast<duration>(length);
  }
  static constexpr duration within_limits(duration length) noexcept { return length; }

  duration length_;
};

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
