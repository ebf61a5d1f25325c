// L0 base: counts threads; knows /proc.
// SPDX-License-Identifier: MIT
#include "threads.hpp"

#include <ringlet/config.hpp>

#include <atomic>
#include <cctype>
#include <fstream>
#include <string>

#include <dirent.h>

namespace ringlet::detail {
namespace {

constinit std::atomic<int> pool_threads{0};

// The calling one, and the thread sanitizer's, which is there as soon as there is any other.
constexpr int own_threads = RINGLET_TSAN ? 2 : 1;

// Kernel: io_uring carries some operations out on threads of its own, which show up as the process's and stay.
bool belongs_to_kernel(const char* thread) {
  std::string name;
  std::ifstream("/proc/self/task/" + std::string(thread) + "/comm") >> name;
  return name.starts_with("iou-");
}

bool is_number(const char* name) noexcept {
  return std::isdigit(static_cast<unsigned char>(name[0])) != 0;
}

}  // namespace

int foreign_threads() {
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return 1;  // Why: unknown; a missed deadlock report is better than a false one.
  int threads = 0;
  while (const dirent* entry = ::readdir(tasks)) {
    if (is_number(entry->d_name) && !belongs_to_kernel(entry->d_name)) ++threads;
  }
  ::closedir(tasks);
  return threads - own_threads - pool_threads.load(std::memory_order_relaxed);
}

void count_pool_thread(int change) noexcept {
  pool_threads.fetch_add(change, std::memory_order_relaxed);
}

}  // namespace ringlet::detail
