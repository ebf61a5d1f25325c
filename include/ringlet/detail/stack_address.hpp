// L0 base: how far down the stack is in use; knows the compiler and the processor.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace ringlet::detail {

/// About where the stack of this thread is in use now; it grows downwards.
/// Why not __builtin_frame_address alone: it makes g++ set up a frame pointer in each function that asks.
[[gnu::always_inline]] inline std::uintptr_t stack_address() noexcept {
#if defined(__x86_64__)
  std::uintptr_t address;
  asm("mov %%rsp, %0" : "=r"(address));
  return address;
#elif defined(__aarch64__)
  std::uintptr_t address;
  asm("mov %0, sp" : "=r"(address));
  return address;
#else
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
#endif
}

}  // namespace ringlet::detail
