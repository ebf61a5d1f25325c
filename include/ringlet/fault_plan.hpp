// L4 io: what goes wrong in a simulated world; knows only the kinds of operations.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_driver.hpp>
#include <ringlet/time.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringlet {

namespace detail {
class sim_driver;
}

/// The kinds of operations that a fault_plan and a script can name.
using operation = detail::io_code;

/// What goes wrong in a simulated world, and when. Each setter returns the plan, so that they can be chained.
class fault_plan {
 public:
  /// The nth operation of this kind, counted from 1, fails with this errno value and has no effect.
  fault_plan& fail(operation kind, unsigned nth, int error) {
    failures_.push_back({kind, nth, error});
    return *this;
  }
  /// No transfer moves more than this at a time. units: bytes.
  fault_plan& shorten(std::size_t bytes) noexcept {
    longest_transfer_ = bytes;
    return *this;
  }
  /// Every operation completes this much later than it could. units: of virtual time.
  fault_plan& delay(any_duration length) noexcept {
    delay_ = length;
    return *this;
  }
  /// Completions of the same moment come in an order drawn from this seed; 0: in the order of asking.
  fault_plan& reorder(std::uint64_t seed) noexcept {
    order_seed_ = seed;
    return *this;
  }
  /// Every nth operation is first told EINTR or, if it is one that waits for readiness, EAGAIN, in turn; 0: none.
  fault_plan& interrupt(unsigned every_nth) noexcept {
    interrupt_every_ = every_nth;
    return *this;
  }
  /// A multishot operation ends, without an error, with every nth of its completions; 0: never.
  fault_plan& end_multishot(unsigned every_nth) noexcept {
    end_multishot_every_ = every_nth;
    return *this;
  }

 private:
  friend class detail::sim_driver;

  struct failure {
    operation kind;
    unsigned nth;
    int error;
  };
  std::vector<failure> failures_;
  std::size_t longest_transfer_ = static_cast<std::size_t>(-1);
  duration delay_{0};
  std::uint64_t order_seed_ = 0;
  unsigned interrupt_every_ = 0;
  unsigned end_multishot_every_ = 0;
};

}  // namespace ringlet
