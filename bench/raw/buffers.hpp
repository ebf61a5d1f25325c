// Bench: a ring of buffers that the kernel fills, used whole or piece by piece.
// SPDX-License-Identifier: MIT
#pragma once

#include "ring.hpp"

#include <cstddef>
#include <vector>

namespace bench {

class buffer_ring {
 public:
  static constexpr unsigned group = 0;

  /// errors: std::system_error, also where the kernel has no incremental buffers (Linux < 6.12).
  buffer_ring(ring& r, unsigned count, unsigned size, bool incremental);
  buffer_ring(const buffer_ring&) = delete;
  buffer_ring& operator=(const buffer_ring&) = delete;
  ~buffer_ring();

  /// The bytes that a receive has filled; they are in use until release().
  const std::byte* take(const io_uring_cqe& cqe);
  void release(unsigned buffer);

  /// Gives the kernel what was released. True: something was.
  bool publish();

 private:
  struct state {
    unsigned used = 0;  // bytes that the kernel has filled
    unsigned takers = 0;
    bool full = false;  // the kernel goes on with another one
  };

  std::byte* start(unsigned buffer) const { return memory_ + std::size_t{buffer} * size_; }
  void give(unsigned buffer);

  const unsigned count_, size_;
  const bool incremental_;
  io_uring_buf_ring* shared_ = nullptr;
  std::byte* memory_ = nullptr;
  std::vector<state> states_;
  int given_ = 0;  // not published yet
};

}  // namespace bench
