// L5 services: the signal handler behind run(options().handle_signals(), ...); knows signals and an event descriptor.
// SPDX-License-Identifier: MIT
#include "interrupts.hpp"

#include "event_fd.hpp"

#include <atomic>
#include <cerrno>
#include <thread>

#include <poll.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

constinit std::atomic<int> event_of_handler{-1};  // -1: no loop handles signals
constinit std::atomic<int> interrupts_seen{0};
constinit std::atomic<int> handlers_running{0};  // on whatever threads

static_assert(std::atomic<int>::is_always_lock_free, "a signal handler must not take a lock");

extern "C" void on_interrupt(int signal) {
  const int saved_errno = errno;
  if (interrupts_seen.fetch_add(1) > 0) ::_exit(128 + signal);
  ++handlers_running;
  raise_event(event_of_handler);
  --handlers_running;
  errno = saved_errno;
}

// Why it waits: a handler on another thread may have read the descriptor's number and not yet written to it, and soon
// the number may be somebody else's.
void release_event() noexcept {
  event_of_handler = -1;
  while (handlers_running > 0) std::this_thread::yield();
}

}  // namespace

interrupt_handler::interrupt_handler() : event_(make_event_fd()) {
  event_of_handler = event_.get();
  interrupts_seen = 0;
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &old_interrupt_);
  ::sigaction(SIGTERM, &action, &old_terminate_);
}

interrupt_handler::~interrupt_handler() {
  ::sigaction(SIGINT, &old_interrupt_, nullptr);
  ::sigaction(SIGTERM, &old_terminate_, nullptr);
  release_event();
}

void interrupt_handler::wait() const noexcept {
  pollfd event{fd(), POLLIN, 0};
  while (::poll(&event, 1, -1) < 0) {  // interrupted by the very signal, or another one
  }
  lower_event(fd());
}

void interrupt_handler::notify() const noexcept {
  raise_event(fd());
}

interrupts::interrupts(scope& target) : watch_(handler_.fd(), target) {
  watch_.arm();
}

interrupts::~interrupts() {
  watch_.cancel();
  while (watch_.armed()) this_driver().wait(never);
}

interrupts::watch::watch(int fd, scope& target) noexcept
    : io_op(io_request{io_code::poll, fd, nullptr, 0, POLLIN}), target_(target) {}

void interrupts::watch::complete(int result, buffer*, bool) noexcept {
  const bool stopped = cancelling();
  end_with(0);
  if (stopped) return;
  if (result < 0) return arm();
  target_.cancel();
}

}  // namespace ringlet::detail
