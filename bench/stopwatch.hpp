// Bench: times small operations; the smallest of several runs is what an operation costs when nothing disturbs it.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <string_view>

#include <fmt/core.h>

namespace bench {

/// Repeats a measurement and keeps its smallest result.
class stopwatch {
 public:
  /// Only rows with this in their names are measured.
  static inline std::string_view chosen;

  stopwatch(std::string_view row, int runs) : row_(row), runs_(row.find(chosen) == row.npos ? 0 : runs) {}
  stopwatch(const stopwatch&) = delete;
  stopwatch& operator=(const stopwatch&) = delete;
  /// Says the result, for the program that makes the table.
  ~stopwatch() {
    if (measured_) fmt::print("{}\t{:.3f}\n", row_, smallest_);
  }

  /// True as long as another run is due: while (watch.next()) { watch.start(); ...; watch.stop(operations); }
  bool next() noexcept { return runs_-- > 0; }
  void start() noexcept { began_ = clock::now(); }
  void stop(long operations) noexcept {
    const std::chrono::duration<double, std::nano> length = clock::now() - began_;
    measured_ = true;
    smallest_ = std::min(smallest_, length.count() / static_cast<double>(operations));
  }

 private:
  using clock = std::chrono::steady_clock;
  std::string_view row_;
  int runs_;
  bool measured_ = false;
  clock::time_point began_{};
  double smallest_ = std::numeric_limits<double>::infinity();
};

/// Makes the compiler believe that the value is used.
template <class T>
void keep(const T& value) noexcept {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace bench
