// L5 services: who in the process handles which signal, so that no two handle the same one; knows only their numbers.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace ringlet::detail {

/// "signal 2 (Interrupt)"
std::string signal_text(int signal);

/// While it lives, nobody else of ringlet's handles the signal. threads: any. errors: std::logic_error when somebody
/// does already.
class signal_claim {
 public:
  /// for_whom: as it shall stand in the errors of others; a literal.
  signal_claim(int signal, const char* for_whom);
  signal_claim(const signal_claim&) = delete;
  signal_claim& operator=(const signal_claim&) = delete;
  ~signal_claim();

  int signal() const noexcept { return signal_; }

 private:
  int signal_;
};

}  // namespace ringlet::detail
