// Bench: the wall clock and the CPU clocks of the load generator and of the server, read at the same moments.
// SPDX-License-Identifier: MIT
#include "clocks.hpp"

#include <cerrno>
#include <system_error>

namespace bench {

std::int64_t read_clock(clockid_t clock) {
  timespec t{};
  if (clock_gettime(clock, &t) < 0) throw std::system_error(errno, std::system_category(), "clock_gettime");
  return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

slice_recorder::slice_recorder(pid_t server) : has_server_(server != 0) {
  if (!has_server_) return;
  const int error = clock_getcpuclockid(server, &server_clock_);
  if (error != 0) throw std::system_error(error, std::system_category(), "clock_getcpuclockid");
}

slice slice_recorder::totals(std::uint64_t requests) const {
  return {requests, has_server_ ? read_clock(server_clock_) : 0, read_clock(CLOCK_PROCESS_CPUTIME_ID),
          read_clock(CLOCK_MONOTONIC)};
}

void slice_recorder::begin() {
  slices_.clear();
  last_ = totals(0);
  began_ = last_.wall;
}

void slice_recorder::look(std::uint64_t requests) {
  if (read_clock(CLOCK_MONOTONIC) - last_.wall < length) return;
  const slice now = totals(requests);
  slices_.push_back(
      {now.requests - last_.requests, now.server - last_.server, now.load - last_.load, now.wall - last_.wall});
  last_ = now;
}

}  // namespace bench
