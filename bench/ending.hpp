// Bench: lets a server end by itself after so many sessions, as BENCH_SESSIONS says: for callgrind, under which a
// server that waits in the ring hears no signals.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>

namespace bench {

/// Ends the process when this was the last session that it was to serve.
inline void session_ended() {
  static const char* const asked = std::getenv("BENCH_SESSIONS");
  static long left = asked == nullptr ? 0 : std::atol(asked);
  if (left > 0 && --left == 0) std::exit(0);
}

}  // namespace bench
