// L5 services: the table of the signals that are handled; knows only their numbers.
// SPDX-License-Identifier: MIT
#include "signal_claim.hpp"

#include <atomic>
#include <cstring>
#include <stdexcept>

#include <signal.h>

namespace ringlet::detail {
namespace {

constinit std::atomic<const char*> handled_for[NSIG] = {};  // by signal; null: nobody

}  // namespace

std::string signal_text(int signal) {
  return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

signal_claim::signal_claim(int signal, const char* for_whom) : signal_(signal) {
  const char* other = nullptr;
  if (handled_for[signal].compare_exchange_strong(other, for_whom)) return;
  const char* which = std::strcmp(other, for_whom) == 0 ? "another " : "";
  throw std::logic_error(std::string(for_whom) + ": " + signal_text(signal) + " is handled by " + which + other +
                         " already");
}

signal_claim::~signal_claim() {
  handled_for[signal_] = nullptr;
}

}  // namespace ringlet::detail
