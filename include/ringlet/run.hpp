// L6 surface: run(), the way in, and its options; knows every layer.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/child.hpp>
#include <ringlet/detail/io_driver.hpp>
#include <ringlet/endpoint.hpp>

#include <cstdint>
#include <optional>

namespace ringlet {

namespace detail {
class loop;
class loop_group;
}  // namespace detail

/// How run() shall run. Each setter returns the options, so that they can be chained.
class options {
 public:
  /// Size of the submission queue. default: 256, or 8 with RINGLET_PLAIN=1; halved as long as memory does not suffice.
  options& entries(unsigned count) noexcept {
    entries_ = count;
    return *this;
  }

  /// For tests: time stands still while a task can run, and jumps when all wait. lifetime: outlives run().
  options& clock(virtual_clock& c) noexcept {
    clock_ = &c;
    return *this;
  }

  /// For tests: shuffles every ready batch; the same seed gives the same order.
  options& seed(std::uint64_t s) noexcept {
    seed_ = s;
    return *this;
  }

  /// SIGINT and SIGTERM cancel the root task; a second one ends the process at once with code 128 + its number.
  /// threads: one run() or run_on_threads() of the process at a time. errors: of these: std::logic_error when there is
  /// another.
  options& handle_signals() noexcept {
    handle_signals_ = true;
    return *this;
  }

  /// Leaves SIGPIPE as it is. default: run() ignores it if nobody handles it, for a write to a closed pipe through
  /// io_uring would end the process.
  options& keep_sigpipe() noexcept {
    keep_sigpipe_ = true;
    return *this;
  }

  /// Calls `hook` with a line of text that names the task when one runs for longer than `limit` without suspending, and
  /// so keeps all others waiting. default: off; it costs two readings of the clock a resumption.
  options& stall_warning(any_duration limit, detail::hook<void(std::string_view)> hook) noexcept {
    stall_limit_ = limit;
    on_stall_ = std::move(hook);
    return *this;
  }

  /// Lets people look at the loop's tasks with `nc HOST PORT`, from the beginning until the root task has ended; see
  /// monitor(). Meanwhile no deadlock is reported, for it could be looked at. Whoever can connect can cancel tasks:
  /// give an address on loopback. errors: of run(): os_error when it cannot be bound. Not for run_on_threads().
  options& monitor(const endpoint& where) {
    monitor_ = where;
    return *this;
  }

  /// For tests: carries operations out itself instead of the kernel's ring. lifetime: outlives run().
  options& driver(detail::io_driver& d) noexcept {
    driver_ = &d;
    return *this;
  }

 private:
  friend class detail::loop;
  friend class detail::loop_group;

  std::optional<unsigned> entries_;  // null: what suits the ring
  virtual_clock* clock_ = nullptr;   // null: the real clock
  std::optional<std::uint64_t> seed_;
  bool handle_signals_ = false;
  bool keep_sigpipe_ = false;
  duration stall_limit_{0};
  detail::hook<void(std::string_view)> on_stall_;  // empty: steps are not timed
  detail::io_driver* driver_ = nullptr;            // null: the kernel's ring
  std::optional<endpoint> monitor_;                // null: nobody may look
};

namespace detail {

/// One loop from its set-up to its end, on the calling thread.
class loop {
 public:
  /// errors: startup_error, os_error; std::logic_error when this thread runs one already.
  explicit loop(const options& how);
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  ~loop();

  void run(child_base& root);

 private:
  struct parts;
  parts* parts_;
};

template <class R>
R result_of_root(outcome<R>& result) {
  const bool stopped = result.was_cancelled();
  if constexpr (std::is_void_v<R>) {
    if (stopped) return;
  }
  if (stopped) throw task_cancelled("the root task was cancelled, by a signal for example, before it had a result");
  return result.take();
}

}  // namespace detail

/// Runs f(args...), a task<R>, and all that it spawns, on this thread, and returns what it returned.
/// errors: what the task threw; deadlock_error; startup_error where io_uring cannot be used; os_error; std::logic_error
/// inside run(), or when another loop handles signals already; task_cancelled when a signal ended a task<R> that had no
/// R yet. A task<void> that a signal ended just returns. lifetime: `f` and `args` are copied or moved in and live until
/// run() returns.
template <class F, class... Args>
decltype(auto) run(const options& how, F&& f, Args&&... args) {
  using child = detail::child_of<std::decay_t<F>, std::decay_t<Args>...>;
  detail::loop loop(how);
  const detail::ref<child> root(new child(std::forward<F>(f), std::forward<Args>(args)...));
  loop.run(*root);
  return detail::result_of_root(root->result());
}

/// The same with default options.
template <class F, class... Args>
  requires(!std::derived_from<std::decay_t<F>, options>)
decltype(auto) run(F&& f, Args&&... args) {
  return run(options(), std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace ringlet
