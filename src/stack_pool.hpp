// L5 services: stacks for fibers, each above a guard, and a store of free ones; knows mmap.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

namespace ringlet::detail {

/// Memory for one stack. Below it lies the guard: who runs over the end of the stack is stopped there.
class stack_memory {
 public:
  /// A function whose variables take more than this may step over it, unless it was compiled with
  /// -fstack-clash-protection. units: bytes.
  static constexpr std::size_t guard_size = 64 * 1024;

  static constexpr std::size_t smallest = 16 * 1024;

  stack_memory() = default;
  stack_memory(void* bottom, std::size_t size) noexcept : bottom_(static_cast<std::byte*>(bottom)), size_(size) {}

  std::byte* bottom() const noexcept { return bottom_; }
  std::byte* top() const noexcept { return bottom_ + size_; }
  std::size_t size() const noexcept { return size_; }
  bool guard_has(const void* address) const noexcept { return address >= bottom_ - guard_size && address < bottom_; }

 private:
  std::byte* bottom_ = nullptr;  // the lowest address that may be used
  std::size_t size_ = 0;
};

/// A thread's stacks that are free.
class stack_pool {
 public:
  stack_pool() = default;
  stack_pool(const stack_pool&) = delete;
  stack_pool& operator=(const stack_pool&) = delete;
  ~stack_pool() { keep(0); }

  /// errors: os_error; std::invalid_argument.
  stack_memory take(std::size_t size);
  void give_back(stack_memory stack) noexcept;

  /// Keeps no more than this many.
  void keep(std::size_t most) noexcept;

 private:
  std::vector<stack_memory> free_;  // the one used last at the end: more of it may still be in the cache
  std::size_t most_ = 64;
};

}  // namespace ringlet::detail
