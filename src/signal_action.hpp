// L0 base: whether anybody has said what a signal is to do; knows only the system call.
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

namespace ringlet::detail {

/// True when nobody in the process handles or ignores the signal.
inline bool has_default_action(int signal) noexcept {
  struct sigaction now{};
  ::sigaction(signal, nullptr, &now);
  return (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL;
}

}  // namespace ringlet::detail
