// L5 services: the handler of SIGSEGV that knows the guards of stacks; knows signals.
// SPDX-License-Identifier: MIT
#include "stack_overflow.hpp"

#include <ringlet/detail/execution.hpp>

#include "signal_action.hpp"

#include <algorithm>
#include <array>
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

constexpr std::size_t signal_stack_size = 32 * 1024;

// Nothing in here allocates or locks.
void say_what_happened(const stack_memory& stack) noexcept {
  std::array<char, 300> text;
  const task_record* task = current.task;
  const char* name = task == nullptr || task->name() == nullptr ? "" : task->name();
  const auto end = fmt::format_to_n(text.data(), text.size(),
                                    "ringlet: the fiber of task {} \"{:.100}\" has used up its stack of {} bytes; "
                                    "fiber::stack_size(n) makes a larger one\n",
                                    task == nullptr ? 0 : task->id(), name, stack.size());
  const std::size_t length = std::min(end.size, text.size());
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), length);
}

// The fault happens again when this returns, and ends the process as it would have done without.
void on_fault(int number, siginfo_t* info, void*) {
  const stack_memory* stack = running_stack();
  const bool is_fault = info->si_code > 0;
  if (is_fault && stack != nullptr && stack->guard_has(info->si_addr)) say_what_happened(*stack);
  ::signal(number, SIG_DFL);
  if (!is_fault) ::raise(number);
}

bool handle_faults() {
  if (!has_default_action(SIGSEGV)) return false;
  struct sigaction mine{};
  mine.sa_sigaction = on_fault;
  mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
  return ::sigaction(SIGSEGV, &mine, nullptr) == 0;
}

}  // namespace

overflow_watch::overflow_watch() {
  [[maybe_unused]] static const bool handled = handle_faults();
  stack_t now{};
  ::sigaltstack(nullptr, &now);
  if ((now.ss_flags & SS_DISABLE) == 0) return;
  signal_stack_.resize(signal_stack_size);
  stack_t mine{};
  mine.ss_sp = signal_stack_.data();
  mine.ss_size = signal_stack_.size();
  ::sigaltstack(&mine, nullptr);
}

overflow_watch::~overflow_watch() {
  if (signal_stack_.empty()) return;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
}

}  // namespace ringlet::detail
