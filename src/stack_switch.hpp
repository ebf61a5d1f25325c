// L5 services: tells the sanitizers that a thread goes on on another stack; knows no Boost.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/config.hpp>

#include <cstddef>

#if RINGLET_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if RINGLET_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace ringlet::detail {

/// A stack as the sanitizers see it. Without one all of this is nothing.
class stack_for_sanitizers {
 public:
  /// The stack of a thread.
  stack_for_sanitizers() noexcept = default;

  /// A new stack, whose memory may have been one before.
  void begin([[maybe_unused]] const void* bottom, [[maybe_unused]] std::size_t size) noexcept {
#if RINGLET_ASAN
    bottom_ = bottom;
    size_ = size;
    __asan_unpoison_memory_region(bottom, size);
#endif
#if RINGLET_TSAN
    fiber_ = __tsan_create_fiber(0);
#endif
  }
  void end() noexcept {
#if RINGLET_TSAN
    __tsan_destroy_fiber(fiber_);
#endif
  }

  /// Right before the jump from this stack to `to`. Why inlined: the thread sanitizer notes on which stack a function
  /// begins and ends, and after its switch this would end on another one.
  [[gnu::always_inline]] void leave_for([[maybe_unused]] const stack_for_sanitizers& to) noexcept {
#if RINGLET_ASAN
    __sanitizer_start_switch_fiber(&fake_stack_, to.bottom_, to.size_);
#endif
#if RINGLET_TSAN
    if (fiber_ == nullptr) fiber_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.fiber_, 0);
#endif
  }

  /// The same, for good.
  [[gnu::always_inline]] void end_with_leaving_for([[maybe_unused]] const stack_for_sanitizers& to) noexcept {
#if RINGLET_ASAN
    __sanitizer_start_switch_fiber(nullptr, to.bottom_, to.size_);
#endif
#if RINGLET_TSAN
    __tsan_switch_to_fiber(to.fiber_, 0);
#endif
  }

  /// Right after the jump from `from` to this stack.
  void arrive_from([[maybe_unused]] stack_for_sanitizers& from) noexcept {
#if RINGLET_ASAN
    __sanitizer_finish_switch_fiber(fake_stack_, &from.bottom_, &from.size_);
#endif
  }

 private:
#if RINGLET_ASAN
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;
#endif
#if RINGLET_TSAN
  void* fiber_ = nullptr;
#endif
};

}  // namespace ringlet::detail
