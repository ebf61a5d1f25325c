// L0 base: how many threads this process has beside the loop's and the pools'; knows /proc.
// SPDX-License-Identifier: MIT
#pragma once

namespace ringlet::detail {

/// Threads that neither run this loop nor belong to a thread pool of ringlet's.
int foreign_threads();

/// A thread pool says so when its workers start (+1 each) and end (-1 each). threads: any.
void count_pool_thread(int change) noexcept;

}  // namespace ringlet::detail
