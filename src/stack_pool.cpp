// L5 services: how the memory of stacks is had and given back; knows mmap.
// SPDX-License-Identifier: MIT
#include "stack_pool.hpp"

#include <ringlet/error.hpp>

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

// Kernel 6.13: makes pages that fault without a mapping of their own, so that neighbouring stacks are one mapping and
// a hundred thousand of them do not run into vm.max_map_count.
constexpr int guard_install = 102;

[[noreturn]] void throw_no_stack(std::size_t size, int error) {
  throw os_error("make a fiber's stack of", std::to_string(size) + " bytes", error);
}

std::size_t whole_pages(std::size_t size) {
  constexpr std::size_t largest = ~std::size_t{0} / 2;
  if (size < stack_memory::smallest) {
    throw std::invalid_argument("a stack of " + std::to_string(size) + " bytes is too small; 16 KiB is the least");
  }
  if (size > largest) throw_no_stack(size, ENOMEM);
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

bool make_guard(void* at) noexcept {
  return ::madvise(at, stack_memory::guard_size, guard_install) == 0 ||
         ::mprotect(at, stack_memory::guard_size, PROT_NONE) == 0;
}

// Where a process has as many mappings as it may, none can be split, and only the memory goes back, not the addresses.
void unmap(stack_memory stack) noexcept {
  const int unmapped = ::munmap(stack.bottom() - stack_memory::guard_size, stack_memory::guard_size + stack.size());
  if (unmapped != 0) ::madvise(stack.bottom(), stack.size(), MADV_DONTNEED);
}

stack_memory map(std::size_t size) {
  const std::size_t whole = stack_memory::guard_size + size;
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE;
  void* at = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) throw_no_stack(size, errno);
  // Why: a stack that uses one page is not to get five hundred. A kernel without huge pages refuses, rightly.
  ::madvise(at, whole, MADV_NOHUGEPAGE);
  const stack_memory made(static_cast<std::byte*>(at) + stack_memory::guard_size, size);
  if (make_guard(at)) return made;
  const int error = errno;
  unmap(made);
  throw_no_stack(size, error);
}

}  // namespace

stack_memory stack_pool::take(std::size_t size) {
  size = whole_pages(size);
  const auto has_size = [size](const stack_memory& stack) { return stack.size() == size; };
  const auto found = std::find_if(free_.rbegin(), free_.rend(), has_size);
  if (found == free_.rend()) return map(size);
  const stack_memory stack = *found;
  free_.erase(std::next(found).base());
  return stack;
}

// Why the oldest goes: the next fibers want sizes like those of the last ones.
void stack_pool::give_back(stack_memory stack) noexcept {
  if (most_ == 0) return unmap(stack);
  if (free_.size() >= most_) {
    unmap(free_.front());
    free_.erase(free_.begin());
  }
  try {
    free_.push_back(stack);
  } catch (const std::bad_alloc&) {
    unmap(stack);
  }
}

void stack_pool::keep(std::size_t most) noexcept {
  most_ = most;
  while (free_.size() > most_) {
    unmap(free_.back());
    free_.pop_back();
  }
}

}  // namespace ringlet::detail
