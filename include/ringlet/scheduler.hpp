// L2 scheduler: decides which task runs next; knows nothing of io_uring.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/execution.hpp>
#include <ringlet/detail/hook.hpp>
#include <ringlet/detail/reactor.hpp>
#include <ringlet/detail/remote_work.hpp>
#include <ringlet/detail/timer_heap.hpp>
#include <ringlet/time.hpp>

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringlet {

namespace detail {

class mailbox;

/// Wants to know when its loop has no task left.
class end_watch : public list_links {
 public:
  /// threads: the loop's. May destroy the object.
  virtual void loop_ended() noexcept = 0;

 protected:
  end_watch() = default;
  ~end_watch() = default;
};

/// Is told of the steps of all tasks. For tests, and for the tracer.
class step_observer {
 public:
  /// The ready queue becomes the next batch.
  virtual void before_batch() noexcept {}
  /// The loop has done what there was to do, and looks at the world next.
  virtual void after_batch() noexcept {}
  virtual void before_step(const task_record& task) noexcept = 0;
  /// suspended: the task of the step, as it waits now; null: it has finished, and may be gone.
  virtual void after_step(const task_record* suspended) noexcept = 0;

 protected:
  step_observer() = default;
  ~step_observer() = default;
};

}  // namespace detail

/// Thrown by run() when no task can ever run again; what() is the tree of tasks with what each one waits for.
class deadlock_error : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Figures of one loop. Those in the first group are of this moment, the others of all the time since it began.
struct statistics {
  std::size_t tasks_live = 0;     // spawned and not yet finished, the root task included
  std::size_t tasks_ready = 0;    // in the queue, to run in this turn or the next
  std::size_t tasks_waiting = 0;  // parked at an await
  std::size_t in_flight = 0;      // operations that the kernel has not completed
  std::size_t offloads = 0;       // functions on thread pools that this loop waits for
  std::size_t fibers = 0;         // functions that run on stacks of their own

  std::size_t most_fibers = 0;      // the largest number there was at a time
  std::uint64_t turns = 0;          // rounds of the loop
  std::uint64_t enters = 0;         // system calls that submit or wait
  std::uint64_t sqes = 0;           // operations and cancel requests handed to the kernel
  std::uint64_t cqes = 0;           // completions it gave back
  std::uint64_t cq_overflows = 0;   // times the completion queue was too small; nothing is lost by it
  std::uint64_t errors_unseen = 0;  // errors of tasks whose nursery was failing already: the first one is thrown
};

/// A handle through which other threads may post to a loop, for as long as they like.
/// While one exists the loop may be woken from outside, so it reports no deadlock.
/// threads: any. lifetime: may outlive the loop.
class post_handle {
 public:
  post_handle(const post_handle& other) noexcept;
  post_handle& operator=(post_handle other) noexcept;
  ~post_handle();

  /// Runs `function` on the loop, as scheduler::post does: it must not throw. FIFO for each thread. False: the loop has
  /// ended. threads: any.
  template <class F>
  bool post(F&& function) const {
    return push(new detail::posted_function<std::decay_t<F>>(std::forward<F>(function)));
  }

 private:
  friend class scheduler;
  explicit post_handle(detail::mailbox* box) noexcept;

  template <class F>
  bool push(detail::posted_function<F>* work) const {
    const bool accepted = push_work(*work);
    if (!accepted) delete work;
    return accepted;
  }
  bool push_work(detail::remote_work& work) const noexcept;

  detail::mailbox* box_;
};

/// One loop. Made by run(); tasks reach it through this_scheduler().
class scheduler {
 public:
  /// The loop's time: constant during a turn.
  time_point now() noexcept {
    if (detail::current.time_is_stale) read_clock();
    return now_;
  }

  /// The loop's figures as they are now.
  statistics stats() const noexcept;

  /// Runs `function` on the loop soon, outside of any task; it must not throw, or run() ends with what it threw.
  /// Returns false when the loop has ended. FIFO for each thread. threads: any, also when run() has returned, as long as
  /// no hundred other loops of the process have ended since; a thread that may be later than that posts through handle().
  template <class F>
  bool post(F&& function) {
    auto* work = new detail::posted_function<std::decay_t<F>>(std::forward<F>(function));
    const bool accepted = push_work(*work);
    if (!accepted) delete work;
    return accepted;
  }

  /// A handle for threads that may outlive run(). While one exists no deadlock is reported.
  post_handle handle() noexcept;

  // --- For those who write awaitables: docs/new_operation.md

  /// The wait of a parked task is over: it runs in the next batch.
  void wake(detail::task_record& task) noexcept {
    task.unpark();
    detail::current.ready.push_back(task);
  }

  /// Takes on a new task, which runs for the first time in the next batch.
  void start(detail::task_record& task) noexcept {
    task.set_id(++last_id_);
    ++live_;
    detail::current.ready.push_back(task);
  }

  /// Calls t.fire() in the first turn whose time has reached `deadline`. lifetime: of `t`, until then or
  /// remove_timer().
  void add_timer(detail::timer& t, time_point deadline) noexcept {
    timers_.add(t, deadline);
    detail::current.loop_wanted = true;
  }
  /// Takes the timer back. One that has fired, or was never added, is no error.
  void remove_timer(detail::timer& t) noexcept { timers_.remove(t); }

  /// Between the two, somebody outside will wake the loop: waiting for that is no deadlock.
  void expect_wake_up() noexcept { ++expected_wake_ups_; }
  /// Ends what expect_wake_up() began.
  void wake_up_came() noexcept { --expected_wake_ups_; }

  /// As the two above, for a function on a thread pool.
  void offload_began() noexcept { ++offloads_; }
  /// Ends what offload_began() began.
  void offload_ended() noexcept { --offloads_; }

  /// A function has begun to run on a stack of its own.
  void fiber_began() noexcept {
    if (++fibers_ > most_fibers_) most_fibers_ = fibers_;
  }
  /// Ends what fiber_began() began.
  void fiber_ended() noexcept { --fibers_; }

  /// As post(), for work that lives with its owner, so that nothing is allocated. False: the loop has ended, and `work`
  /// will not run. threads: any. lifetime: of `work`, until it has run.
  bool push_work(detail::remote_work& work) noexcept;

  /// Calls w.loop_ended() when no task is left. lifetime: of `w`, until then or until it is unlinked, on this thread.
  void watch_end(detail::end_watch& w) noexcept { end_watches_.push_back(w); }

  /// An error that nobody will be given, because an earlier one of the same nursery is.
  void count_unseen_error() noexcept { ++errors_unseen_; }

  /// Ends the loop with this error, once all its tasks are unwound.
  void fail(std::exception_ptr error) noexcept;

  // --- For run() and the dumps

  /// How run() sets a scheduler up.
  class settings {
   public:
    virtual_clock* clock = nullptr;                 // null: the real one
    bool shuffled = false;                          // every batch, by `seed`
    std::uint64_t seed = 0;                         // of the shuffle
    duration stall_limit{0};                        // how long a step may take before on_stall is told
    detail::hook<void(std::string_view)> on_stall;  // empty: steps are not timed
  };

  /// Becomes this thread's loop. lifetime: of `world`, as long as the scheduler.
  scheduler(detail::reactor& world, const settings& how);
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;
  ~scheduler();

  /// Is no loop of this thread any more. What is left of it tells who posts that it has ended. True: somebody may, for
  /// a reference was handed out.
  bool retire() noexcept;

  /// Runs until the root task, started before, and all below it have finished. Throws what the loop itself failed with.
  [[gnu::flatten]] void run(detail::task_record& root);  // Why flat: behind fibers each return is mispredicted

  /// Where other threads leave their work.
  detail::mailbox& post_box() const noexcept { return *mailbox_; }
  /// The root task; null outside of run().
  detail::task_record* root() const noexcept { return root_; }

  /// Tells `o` of every step from the next one on. budget: of each step; with 0 every await that has something to do
  /// suspends, also one that is over at once. One observer at a time. lifetime: of `o`, until ignore_steps().
  void observe_steps(detail::step_observer& o, int budget) noexcept;
  /// Ends it.
  void ignore_steps() noexcept;
  /// Somebody is told of the steps.
  bool observed() const noexcept { return observer_ != nullptr; }

  /// Somebody may hold a reference to this loop in another thread.
  void mark_exposed() noexcept { exposed_ = true; }

 private:
  // Why some are never inlined: what is rare stays out of run(), which is flat.
  void turn();
  void begin_turn();
  void fire_due_timers() noexcept;
  void run_batch() noexcept;

  void run_steps() noexcept;
  [[gnu::noinline]] void run_watched_step() noexcept;
  bool run_timed_step() noexcept;
  bool run_single_step() noexcept;
  bool end_steps() noexcept;
  void finish(detail::task_record& task) noexcept;
  void run_posted() noexcept;
  void run_all(detail::remote_work* work) noexcept;
  [[gnu::noinline]] void shuffle_ready();
  void wait_until(time_point deadline) noexcept;
  time_point next_deadline();
  [[gnu::noinline]] time_point suspected_deadlock();
  void break_deadlock();
  [[gnu::noinline]] void read_clock() noexcept;
  [[gnu::noinline]] void close_mailbox() noexcept;

  // The state that turn() moves, with the queues of detail::current.
  detail::timer_heap timers_;  // what happens at a point in time
  detail::mailbox* mailbox_;   // what other threads ask for
  detail::reactor& reactor_;   // what the world completes
  time_point now_{};

  bool exposed_ = false;
  bool shuffled_;
  std::uint64_t random_;
  virtual_clock* virtual_clock_;  // null: the real one
  duration stall_limit_;
  detail::hook<void(std::string_view)> on_stall_;  // empty: steps are not timed
  detail::step_observer* observer_ = nullptr;      // null: nobody
  bool watched_;                                   // there is an observer, or steps are timed
  int budget_ = detail::step_budget;               // of a step that the loop begins
  detail::task_record* root_ = nullptr;
  detail::intrusive_list<detail::end_watch> end_watches_;
  std::exception_ptr failure_;  // null: the loop itself is well
  int deadlocks_broken_ = 0;
  std::size_t live_ = 0;
  std::size_t expected_wake_ups_ = 0;
  std::size_t offloads_ = 0;
  std::size_t fibers_ = 0;
  std::size_t most_fibers_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t errors_unseen_ = 0;
};

namespace detail {

inline constinit thread_local scheduler* current_scheduler = nullptr;

/// The loop of this thread, for ringlet's own use.
inline scheduler& this_loop() noexcept {
  return *current_scheduler;
}

}  // namespace detail

/// The loop that runs the calling task. errors: std::logic_error outside of run().
scheduler& this_scheduler();

/// The tree of all tasks: name, state, what each waits for and since when, and the chain of its awaits.
/// Empty outside of run().
std::string dump_tasks();

}  // namespace ringlet
