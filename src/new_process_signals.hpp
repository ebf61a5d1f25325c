// L0 base: gives a new process the signal handling that programs begin with; knows only system calls.
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

namespace ringlet::detail {

/// Every signal has its default action from now on. Fit for after vfork().
inline void forget_handlers() noexcept {
  struct sigaction usual{};
  usual.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &usual, nullptr);
}

/// No signal is blocked from now on. Fit for after vfork().
inline void let_all_signals_in() noexcept {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace ringlet::detail
