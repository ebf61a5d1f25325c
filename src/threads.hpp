// L0 base: how many threads this process has beside the loop's and the pools', and could use; knows /proc.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace ringlet::detail {

/// How many threads can run at once; at least 1.
std::size_t processors() noexcept;

/// Threads that neither run this loop nor belong to a thread pool of ringlet's.
int foreign_threads();

/// While it lives, the calling thread is none of these: it belongs to a pool, or only waits for loops to end.
/// One inside another changes nothing.
class counted_thread {
 public:
  counted_thread() noexcept;
  counted_thread(const counted_thread&) = delete;
  counted_thread& operator=(const counted_thread&) = delete;
  ~counted_thread();

 private:
  bool outermost_;
};

}  // namespace ringlet::detail
