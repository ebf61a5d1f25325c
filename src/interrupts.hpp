// L5 services: SIGINT and SIGTERM as a cancel request; knows signal handlers and the ring's poll.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_op.hpp>
#include <ringlet/fd.hpp>

#include <signal.h>

namespace ringlet::detail {

/// While it lives, the first SIGINT or SIGTERM cancels `target`, and the second ends the process.
/// errors: os_error; std::logic_error when another loop of the process handles them already.
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

  unique_fd event_;
  watch watch_;
  struct sigaction old_interrupt_{};
  struct sigaction old_terminate_{};
};

}  // namespace ringlet::detail
