// Bench: the wall clock and the CPU clocks of the load generator and of the server, read at the same moments.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include <sys/types.h>
#include <time.h>

namespace bench {

/// units: nanoseconds.
std::int64_t read_clock(clockid_t clock);

/// What happened between two moments, about 25 ms apart.
struct slice {
  std::uint64_t requests;
  std::int64_t server, load, wall;  // units: nanoseconds
};

/// Cuts a run into slices.
class slice_recorder {
 public:
  /// server: 0 means that there is none to look at. errors: std::system_error.
  explicit slice_recorder(pid_t server);

  /// Forgets what was before.
  void begin();
  /// Ends a slice when it is long enough. requests: all since the start.
  void look(std::uint64_t requests);

  std::int64_t elapsed() const { return read_clock(CLOCK_MONOTONIC) - began_; }
  const std::vector<slice>& slices() const noexcept { return slices_; }

 private:
  slice totals(std::uint64_t requests) const;

  static constexpr std::int64_t length = 25'000'000;
  clockid_t server_clock_ = CLOCK_PROCESS_CPUTIME_ID;
  bool has_server_;
  std::int64_t began_ = 0;
  slice last_{};  // totals at the end of the last slice
  std::vector<slice> slices_;
};

}  // namespace bench
