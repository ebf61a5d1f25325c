// L5 services: says which fiber has run over the end of its stack, before the process dies of it; knows SIGSEGV.
// SPDX-License-Identifier: MIT
#pragma once

#include "stack_pool.hpp"

#include <vector>

namespace ringlet::detail {

/// The stack of the fiber that this thread runs; null: its own. For a signal handler.
const stack_memory* running_stack() noexcept;

/// While one lives, this thread can handle a signal although its stack is full. The first one of the process makes
/// SIGSEGV say what has happened, unless somebody else handles it; it ends the process as before.
class overflow_watch {
 public:
  overflow_watch();
  overflow_watch(const overflow_watch&) = delete;
  overflow_watch& operator=(const overflow_watch&) = delete;
  ~overflow_watch();

 private:
  std::vector<std::byte> signal_stack_;  // empty: the thread had one
};

}  // namespace ringlet::detail
