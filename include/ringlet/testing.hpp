// L6 surface: what tests use: a simulated world, in virtual time and with faults on request; knows the simulated driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/fault_plan.hpp>
#include <ringlet/memory_stream.hpp>
#include <ringlet/run.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/tcp_listener.hpp>
#include <ringlet/tcp_stream.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace ringlet {

namespace detail {
class sim_driver;
}

/// A world without a kernel: run(world.how(), f) runs f on simulated sockets and in virtual time.
/// threads: the one that runs. lifetime: outlives the run and everything made here.
class simulation {
 public:
  /// A world with nothing in it yet. faults: what goes wrong there.
  explicit simulation(fault_plan faults = {});
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;
  ~simulation();

  /// Options that put a loop into this world; add seed() to them for another order of tasks.
  options how() noexcept;
  /// The time of this world.
  virtual_clock& clock() noexcept { return clock_; }

  /// Two ends of one connection. capacity: what one end may send ahead of the other. units: bytes.
  std::pair<tcp_stream, tcp_stream> connection(std::size_t capacity = 64 * 1024);

  /// A listener to which only connect_to() connects.
  tcp_listener listener();
  /// The client's end of a connection that the listener may accept from now on. units of capacity: bytes.
  tcp_stream connect_to(const tcp_listener& server, std::size_t capacity = 64 * 1024);
  /// The same by the listener's descriptor, for one that a server owns by now.
  tcp_stream connect_to(int listening_fd, std::size_t capacity = 64 * 1024);

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

/// Waits until every other task waits too, and moves the clock on by 1 ns. In virtual time only. cancel: safe.
[[nodiscard]] inline detail::sleep_awaiter settle() noexcept {
  return sleep_for(duration(1));
}

}  // namespace ringlet
