// Bench: how many descriptors a program may have open.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>

namespace bench {

/// Gives the process as many descriptors as it may have.
inline void allow_many_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace bench
