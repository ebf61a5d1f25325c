// L4 io: what io_uring offers to this user on this kernel, found out by asking it; its users need not know liburing.
// SPDX-License-Identifier: MIT
#pragma once

#include <bitset>
#include <cstdint>
#include <string>

namespace ringlet::detail {

struct capabilities {
  /// A limit of the process; unlimited where it says ~0.
  struct limit {
    std::uint64_t now = 0;
    std::uint64_t most = 0;  // up to here the user may raise it
  };

  std::string kernel;           // the release, for people: nothing is decided by it
  std::string refusal;          // why there is no ring to be had; empty: there is
  std::uint32_t features = 0;   // of the ring, IORING_FEAT bits
  std::bitset<256> operations;  // by IORING_OP number
  bool accept_multishot = false;
  bool receive_multishot = false;
  bool buffer_rings = false;
  bool incremental_buffers = false;
  limit descriptors;
  limit locked_memory;  // units: bytes

  /// Opens a ring, tries what cannot be asked for, and closes it again. A refusal is stored, not thrown.
  static capabilities probe();

  /// A loop can run here.
  bool sufficient() const;

  /// All of it, a line each, for people to read.
  std::string describe() const;
};

}  // namespace ringlet::detail
