// L0 base: whether the optional features of a kernel are to be left alone; knows only the environment.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <cstring>

namespace ringlet::detail {

/// RINGLET_PLAIN=1 in the environment: nothing is used that only some kernels have, and the ring is tiny. For tests.
inline bool plain_path_forced() noexcept {
  const char* said = ::secure_getenv("RINGLET_PLAIN");
  return said != nullptr && std::strcmp(said, "1") == 0;
}

}  // namespace ringlet::detail
