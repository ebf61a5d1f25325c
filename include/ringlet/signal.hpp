// L5 services: signal_set, signals as values that tasks wait for; knows the ring's poll.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/task.hpp>

#include <array>
#include <concepts>
#include <span>

namespace ringlet {

namespace detail {
class signal_handlers;
}

/// While it lives, these signals do nothing but come out of next(), whatever thread of the process gets them; then the
/// handlers of before are put back, and a signal that nobody has taken is raised again, for them.
/// threads: made and ended on any; next() on the loop's. lifetime: no task may wait when it is destroyed.
class signal_set {
 public:
  /// Each signal is in one set of the process at a time. errors: std::invalid_argument for what is no signal, or none
  /// that can be waited for (SIGKILL, SIGSTOP, SIGABRT and those that tell of a fault, such as SIGSEGV), for one given
  /// twice and for none at all; std::logic_error when another set, or options::handle_signals(), has one of them;
  /// os_error.
  explicit signal_set(std::span<const int> signals);

  /// The same, one by one: `signal_set stops(SIGINT, SIGTERM);`
  template <std::same_as<int>... More>
  explicit signal_set(int first, More... more)
      : signal_set(std::span<const int>(std::array<int, 1 + sizeof...(More)>{first, more...})) {}

  signal_set(const signal_set&) = delete;
  signal_set& operator=(const signal_set&) = delete;
  ~signal_set();

  /// Waits for a signal of the set and gives its number. Those that come meanwhile are counted, and none is lost but
  /// what the kernel itself makes one: of a signal below SIGRTMIN it keeps one that it has not delivered yet. Different
  /// signals take turns. Several tasks may wait; each signal goes to one of them. errors: os_error, also in a simulated
  /// world, which has no signals. cancel: safe; a signal that nobody has taken is for the next one.
  task<int> next();

 private:
  detail::signal_handlers* handlers_;
};

}  // namespace ringlet
