// Test kit: what a signal does now, and a change of it that is undone.
#pragma once

#include <signal.h>

namespace kernel {

/// What the process does when the signal comes.
inline struct sigaction disposition_of(int signal) {
  struct sigaction now{};
  ::sigaction(signal, nullptr, &now);
  return now;
}

/// Sets what a signal does, and puts it back.
class handled {
 public:
  handled(int signal, void (*handler)(int)) : signal_(signal) {
    struct sigaction action{};
    action.sa_handler = handler;
    ::sigaction(signal, &action, &before_);
  }
  handled(const handled&) = delete;
  handled& operator=(const handled&) = delete;
  ~handled() { ::sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_;
};

}  // namespace kernel
