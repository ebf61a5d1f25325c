// L1 coroutine types: memory for coroutine frames and task records, kept for reuse by size; knows only operator new.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/config.hpp>

#include <cstddef>
#include <new>

namespace ringlet::detail {

/// Free blocks of one thread, in classes of 64 bytes up to 2 KiB. Larger blocks are not kept, and of each class not
/// more than 1 MiB.
class frame_pool {
 public:
  constexpr frame_pool() noexcept {
    for (block*& top : tops_) top = &closed;
  }

  void* allocate(std::size_t size) {
    const std::size_t index = class_of(size);
    if (index >= classes) return make(size);
    block* const top = tops_[index];
    if (top->below == nullptr) [[unlikely]]
      return make(block_size(index));
    tops_[index] = top->below;
    return top;
  }

  void release(void* memory, std::size_t size) noexcept {
    const std::size_t index = class_of(size);
    if (index >= classes) return unmake(memory);
    block* const top = tops_[index];
    if (top->height >= most_kept / block_size(index)) [[unlikely]]
      return unmake(memory);
    tops_[index] = ::new (memory) block{top, top->height + 1};
  }

  /// Keeps what is released, from now on.
  void open() noexcept { begin_with(opened); }

  /// Gives back what is kept, and keeps nothing any more. Why: a thread that ends leaves nothing behind.
  void close() noexcept { begin_with(closed); }

  /// Blocks in use.
  std::size_t live() const noexcept;

 private:
  /// Each knows how many there are up to here, so that nothing else has to be counted.
  struct block {
    block* below;  // null: it is the bottom of a stack, and no block at all
    std::size_t height;
  };
  static constexpr std::size_t step = 64;
  static constexpr std::size_t classes = 32;
  static constexpr std::size_t most_kept = 1 << 20;  // units: bytes

  static constexpr std::size_t class_of(std::size_t size) noexcept { return (size - 1) / step; }
  static constexpr std::size_t block_size(std::size_t index) noexcept { return (index + 1) * step; }

  void* make(std::size_t size);
  void unmake(void* memory) noexcept;
  void begin_with(block& bottom) noexcept;

  // The two bottoms that a stack may have.
  static constinit block opened;
  static constinit block closed;  // as high as can be: nothing is put upon it

  block* tops_[classes];
  std::size_t made_ = 0;  // blocks made and not given back
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
