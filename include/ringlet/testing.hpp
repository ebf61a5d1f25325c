// L6 surface: what tests use, such as a simulated world, in virtual time and with faults; knows the simulated driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
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

namespace detail {

/// Cancels a scope at one of the points at which somebody could: before and after each step of a task in it.
class cancel_at_point final : public step_observer {
 public:
  cancel_at_point(scope& where, std::size_t point) noexcept : where_(where), host_(current.task), points_left_(point) {
    this_loop().observe_steps(*this, 0);
  }
  cancel_at_point(const cancel_at_point&) = delete;
  cancel_at_point& operator=(const cancel_at_point&) = delete;
  ~cancel_at_point() { this_loop().ignore_steps(); }

 private:
  void before_step(const task_record& task) noexcept override {
    step_counts_ = &task == host_ || is_inside(task);
    if (step_counts_) pass_point();
  }
  void after_step(const task_record*) noexcept override {
    if (std::exchange(step_counts_, false)) pass_point();
  }
  bool is_inside(const task_record& task) const noexcept {
    const scope* at = &task.innermost();
    while (at != nullptr && at != &where_) at = at->outer();
    return at != nullptr;
  }
  void pass_point() noexcept {
    if (points_left_-- == 0) where_.cancel();
  }

  scope& where_;
  const task_record* host_;  // who is in the scope, or is about to be
  std::size_t points_left_;
  bool step_counts_ = false;
};

template <class F>
task<std::size_t> run_to_each_cancel_point(F body) {
  for (std::size_t point = 0;; ++point) {
    scope attempt;
    const cancel_at_point canceller(attempt, point);
    co_await yield_now();  // Why: this step had begun before anybody observed it
    co_await run_in_scope(attempt, [&] { return body(); });
    if (!attempt.requested()) co_return point;
  }
}

}  // namespace detail

/// Awaits body(), a task, again and again, and each time cancels it at another point: before its first await, at the
/// first, before and at the second and so on, in every task that it spawned, until it comes to its end without having
/// been cancelled; gives how many points there were. Whether an await that has something to do is over at once
/// makes no difference. `body`
/// begins anew each time and sees to it itself that nothing is left of the time before. One at a time in a loop, and
/// not while it is traced. errors: what body() throws. cancel: from outside goes through.
template <class F>
auto for_each_cancel_point(F&& body) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  return detail::run_to_each_cancel_point<std::decay_t<F>>(std::forward<F>(body));
}

/// Waits until every other task waits too, and moves the clock on by 1 ns. In virtual time only. cancel: safe.
[[nodiscard]] inline detail::sleep_awaiter settle() noexcept {
  return sleep_for(duration(1));
}

}  // namespace ringlet
