// L1 coroutine types: makes frames, and gives the kept ones back; knows only operator new.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/frame_pool.hpp>

#include <cstdint>

namespace ringlet::detail {

constinit frame_pool::block frame_pool::opened{nullptr, 0};
constinit frame_pool::block frame_pool::closed{nullptr, SIZE_MAX};

void* frame_pool::make(std::size_t size) {
  void* const memory = ::operator new(size);
  ++made_;
  return memory;
}

void frame_pool::unmake(void* memory) noexcept {
  --made_;
  ::operator delete(memory);
}

void frame_pool::begin_with(block& bottom) noexcept {
  for (block*& top : tops_) {
    while (top->below != nullptr) {
      block* const first = top;
      top = first->below;
      unmake(first);
    }
    top = &bottom;
  }
}

std::size_t frame_pool::live() const noexcept {
  std::size_t kept = 0;
  for (const block* top : tops_) {
    if (top->below != nullptr) kept += top->height;
  }
  return made_ - kept;
}

}  // namespace ringlet::detail
