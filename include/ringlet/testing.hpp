// L6 surface: a simulated world for tests, in virtual time and with faults on request; knows the simulated driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/run.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/tcp_listener.hpp>
#include <ringlet/tcp_stream.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
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
  /// Every operation completes this much later than it could. units: nanoseconds of virtual time.
  fault_plan& delay(duration length) noexcept {
    delay_ = length;
    return *this;
  }
  /// Completions of the same moment come in an order drawn from this seed; 0: in the order of asking.
  fault_plan& reorder(std::uint64_t seed) noexcept {
    order_seed_ = seed;
    return *this;
  }
  /// Every nth operation is first told EINTR or EAGAIN, in turn; 0: none.
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

/// A world without a kernel: run(world.how(), f) runs f on simulated sockets and in virtual time.
/// threads: the one that runs. lifetime: outlives the run and everything made here.
class simulation {
 public:
  explicit simulation(fault_plan faults = {});
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;
  ~simulation();

  /// Options that put a loop into this world; add seed() to them for another order of tasks.
  options how() noexcept;
  virtual_clock& clock() noexcept { return clock_; }

  /// Two ends of one connection. capacity: what one end may send ahead of the other. units: bytes.
  std::pair<tcp_stream, tcp_stream> connection(std::size_t capacity = 64 * 1024);

  /// A listener, and clients that connect to it.
  tcp_listener listener();
  tcp_stream connect_to(const tcp_listener& server, std::size_t capacity = 64 * 1024);

  /// A descriptor of which nothing is known but what script() says.
  unique_fd blank();

  /// The next operation of this kind on this descriptor completes with `result` (negative: -errno), `after` from the
  /// time when it is asked for.
  void script(operation kind, int fd, int result, duration after = {});

  /// The peer of this end resets the connection.
  void reset(const tcp_stream& end);

  /// Operations of this kind that were asked for so far.
  unsigned asked(operation kind) const noexcept;

 private:
  virtual_clock clock_;
  detail::sim_driver* driver_;
};

/// Waits until every other task waits too. In virtual time only. cancel: safe.
[[nodiscard]] inline detail::sleep_awaiter settle() noexcept {
  return sleep_for(duration(1));
}

}  // namespace ringlet
