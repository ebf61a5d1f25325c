// L5 services: SIGINT and SIGTERM as a cancel request; knows signal handlers and the ring's poll.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_op.hpp>
#include <ringlet/fd.hpp>

#include "signal_claim.hpp"

#include <signal.h>

namespace ringlet::detail {

/// While it lives, the first SIGINT or SIGTERM can be read from a descriptor, and the second ends the process.
/// errors: os_error; std::logic_error when somebody else in the process handles them already.
class interrupt_handler {
 public:
  interrupt_handler();
  interrupt_handler(const interrupt_handler&) = delete;
  interrupt_handler& operator=(const interrupt_handler&) = delete;
  ~interrupt_handler();

  /// Can be polled for POLLIN.
  int fd() const noexcept { return event_.get(); }

  /// Blocks until the next signal or notify().
  void wait() const noexcept;
  /// threads: any.
  void notify() const noexcept;

 private:
  signal_claim interrupt_claim_{SIGINT, "handle_signals()"};
  signal_claim terminate_claim_{SIGTERM, "handle_signals()"};
  unique_fd event_;
  struct sigaction old_interrupt_{};
  struct sigaction old_terminate_{};
};

/// While it lives, the first SIGINT or SIGTERM cancels `target`. errors: as interrupt_handler.
class interrupts {
 public:
  explicit interrupts(scope& target);
  interrupts(const interrupts&) = delete;
  interrupts& operator=(const interrupts&) = delete;
  ~interrupts();

 private:
  /// Polls the event descriptor that the signal handler writes to.
  class watch final : public io_op {
   public:
    watch(int fd, scope& target) noexcept;
    void arm() noexcept { submit(); }
    bool armed() const noexcept { return in_flight(); }
    void complete(int result, buffer* filled, bool more) noexcept override;

   private:
    scope& target_;
  };

  interrupt_handler handler_;
  watch watch_;
};

}  // namespace ringlet::detail
