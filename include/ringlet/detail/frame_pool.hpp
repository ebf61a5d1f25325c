// L1 coroutine types: memory for coroutine frames and task records, kept for reuse by size; knows only operator new.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/config.hpp>

#include <cstddef>
#include <new>

namespace ringlet::detail {

/// Free blocks of one thread, in classes of 64 bytes up to 2 KiB. Larger blocks are not kept.
class frame_pool {
 public:
  void* allocate(std::size_t size) {
    ++live_;
    const std::size_t index = class_of(size);
    if (index < classes) {
      if (block* free = free_[index]) [[likely]] {
        free_[index] = free->next;
        room_ += block_size(index);
        return free;
      }
    }
    return ::operator new(index < classes ? block_size(index) : size);
  }

  void release(void* memory, std::size_t size) noexcept {
    --live_;
    const std::size_t index = class_of(size);
    if (index < classes && room_ >= block_size(index)) [[likely]] {
      room_ -= block_size(index);
      free_[index] = ::new (memory) block{free_[index]};
      return;
    }
    ::operator delete(memory);
  }

  /// How much may be kept from now on; gives back what is kept now. units: bytes.
  /// Why zero outside of run(): a thread that ends leaves nothing behind.
  void set_room(std::size_t bytes) noexcept;

  std::size_t live() const noexcept { return live_; }

 private:
  struct block {
    block* next;
  };
  static constexpr std::size_t step = 64;
  static constexpr std::size_t classes = 32;

  static constexpr std::size_t class_of(std::size_t size) noexcept { return (size - 1) / step; }
  static constexpr std::size_t block_size(std::size_t index) noexcept { return (index + 1) * step; }

  block* free_[classes] = {};
  std::size_t room_ = 0;  // bytes that may still be kept
  std::size_t live_ = 0;  // blocks in use
};

inline constinit thread_local frame_pool frames;

#if RINGLET_ASAN
// Why: the address sanitizer finds a use after free only in memory that really was freed.
inline void* allocate_frame(std::size_t size) {
  return ::operator new(size);
}
inline void release_frame(void* memory, std::size_t) noexcept {
  ::operator delete(memory);
}
#else
inline void* allocate_frame(std::size_t size) {
  return frames.allocate(size);
}
inline void release_frame(void* memory, std::size_t size) noexcept {
  frames.release(memory, size);
}
#endif

/// Base of what is allocated from the pool.
class pooled {
 public:
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { release_frame(memory, size); }

 protected:
  pooled() = default;
  ~pooled() = default;
};

}  // namespace ringlet::detail
