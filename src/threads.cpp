// L0 base: counts threads; knows /proc.
// SPDX-License-Identifier: MIT
#include "threads.hpp"

#include <ringlet/config.hpp>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <fstream>
#include <string>
#include <thread>

#include <dirent.h>

namespace ringlet::detail {
namespace {

constinit std::atomic<int> counted_threads{0};
constinit thread_local bool is_counted = false;

// The thread sanitizer's, which is there as soon as there is any other.
constexpr int hidden_threads = RINGLET_TSAN ? 1 : 0;

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

std::size_t processors() noexcept {
  return std::max(1u, std::thread::hardware_concurrency());
}

int foreign_threads() {
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return 1;  // Why: unknown; a missed deadlock report is better than a false one.
  int threads = 0;
  while (const dirent* entry = ::readdir(tasks)) {
    if (is_number(entry->d_name) && !belongs_to_kernel(entry->d_name)) ++threads;
  }
  ::closedir(tasks);
  const int calling = is_counted ? 0 : 1;
  return threads - calling - hidden_threads - counted_threads.load(std::memory_order_relaxed);
}

counted_thread::counted_thread() noexcept : outermost_(!is_counted) {
  if (outermost_) counted_threads.fetch_add(1, std::memory_order_relaxed);
  is_counted = true;
}

counted_thread::~counted_thread() {
  if (!outermost_) return;
  counted_threads.fetch_sub(1, std::memory_order_relaxed);
  is_counted = false;
}

}  // namespace ringlet::detail
