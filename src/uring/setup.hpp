// L4 io: opens a ring, or says why that is not possible here; knows liburing and /proc.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <liburing.h>

namespace ringlet::detail {

/// Of the submission queue, where nobody has asked for another number.
unsigned usual_entries() noexcept;

/// Opens a ring for the calling thread, checks that it works, and registers its descriptor.
/// entries: of the submission queue; halved as long as memory does not suffice. errors: startup_error.
io_uring open_ring(unsigned entries);

/// Gives up what open_ring() gave; nothing may be in flight.
void close_ring(io_uring& ring) noexcept;

/// What the system says about io_uring, for the message of a failed set-up.
struct ring_environment {
  int disabled = 0;  // kernel.io_uring_disabled; 0 also where there is no such setting
  bool seccomp_filter = false;
  unsigned long memlock_kib = 0;
  std::string kernel;

  static ring_environment read();
};

/// One clear sentence on why set-up failed, and what mends it. step: the system call that failed.
std::string explain_failure(const char* step, int error, unsigned entries, const ring_environment& here);

}  // namespace ringlet::detail
