// L0 base: counts threads; knows /proc.
// SPDX-License-Identifier: MIT
#include "threads.hpp"

#include <atomic>
#include <cctype>

#include <dirent.h>

namespace ringlet::detail {
namespace {

constinit std::atomic<int> pool_threads{0};

}  // namespace

int foreign_threads() noexcept {
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return 1;  // Why: unknown; a missed deadlock report is better than a false one.
  int threads = 0;
  while (const dirent* entry = ::readdir(tasks)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0) ++threads;
  }
  ::closedir(tasks);
  return threads - 1 - pool_threads.load(std::memory_order_relaxed);
}

void count_pool_thread(int change) noexcept {
  pool_threads.fetch_add(change, std::memory_order_relaxed);
}

}  // namespace ringlet::detail
