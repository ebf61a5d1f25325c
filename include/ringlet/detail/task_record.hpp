// L1 coroutine types: a task as the scheduler sees it, its cancel scopes, and what runs on a thread now and next; knows
// no clock and no scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/intrusive.hpp>

#include <coroutine>
#include <cstdint>
#include <utility>

namespace ringlet::detail {

class fiber_base;
class promise_base;
class task_record;

/// What a wait shows of itself in a dump: "receive fd 7".
struct wait_text {
  const char* what;
  long long subject = -1;  // -1: none
};

/// What a suspended task waits for. Lives in the awaiter, and so in the task's own frame.
class wait {
 public:
  /// Undoes the wait: the task becomes ready, at once or when the operation's last completion is in.
  /// Called at most once a scope; a wait that is already being undone ignores it.
  virtual void cancel() noexcept = 0;

  virtual wait_text describe() const noexcept = 0;

  task_record* waiter() const noexcept { return waiter_; }

 protected:
  wait() = default;
  wait(const wait&) noexcept {}  // Why: awaiters move until they are awaited; a parked one is never copied.
  wait& operator=(const wait&) = delete;
  ~wait() = default;

 private:
  friend class task_record;
  task_record* waiter_ = nullptr;  // null: not parked
};

using sibling_list = intrusive_list<task_record>;

/// A cancel scope. Cancelling is level-triggered: it stays, for this scope and all that is inside it.
/// A task's scopes form a chain from the task's base scope inwards; a nursery is a scope that also holds child tasks.
class scope {
 public:
  enum class kind : unsigned char { plain, shield };

  explicit scope(kind k = kind::plain) noexcept : shielded_(k == kind::shield) {}
  scope(const scope& other) noexcept;  // Why: awaiters move until they are awaited; a scope in use is never copied.
  scope& operator=(const scope&) = delete;
  ~scope();

  /// Becomes the innermost scope of the running task.
  void enter() noexcept;
  void leave() noexcept;

  enum class reach : unsigned char { up_to_shields, through_shields };

  /// Undoes the waits of every task in the scope, as far as no shield is between. threads: the loop's.
  void cancel(reach how_far = reach::up_to_shields) noexcept;

  bool requested() const noexcept { return requested_; }
  bool cancelled() const noexcept { return cancelled_; }
  bool entered() const noexcept { return host_ != nullptr; }
  bool cancelled_from_outside() const noexcept { return !shielded_ && outer_ != nullptr && outer_->cancelled_; }

  /// True when `cancelled`, caught on the way out of this scope, ends here and goes no further.
  bool catches() const noexcept { return requested_ && !cancelled_from_outside(); }

  scope* outer() const noexcept { return outer_; }
  scope* inner() const noexcept { return inner_; }
  task_record* host() const noexcept { return host_; }
  const sibling_list* children() const noexcept { return children_; }

 protected:
  void adopt_children(sibling_list& children) noexcept { children_ = &children; }

 private:
  friend class task_record;

  void spread(reach how_far) noexcept;
  scope* next_to_cancel(const scope& top, reach how_far) noexcept;

  task_record* host_ = nullptr;       // null: not entered, or left again
  scope* outer_ = nullptr;            // towards the root task
  scope* inner_ = nullptr;            // null: the host's innermost
  sibling_list* children_ = nullptr;  // null: not a nursery
  bool shielded_;
  bool requested_ = false;  // cancel() was called on this very scope
  bool cancelled_ = false;  // awaits in this scope throw: requested here, or further out with no shield between
};

/// One task: a line of execution with one place where it goes on. The scheduler's queue is made of these.
class task_record : public list_links {
 public:
  task_record() noexcept = default;
  virtual ~task_record() = default;

  /// The loop calls this once the task has finished, or was dropped before it ran. May destroy the record.
  virtual void finish() noexcept = 0;
  virtual const char* name() const noexcept { return nullptr; }

  /// Puts the task, as the child of a nursery or (outer null) as the root, under that scope.
  void put_under(scope* outer) noexcept {
    base_.host_ = this;
    base_.outer_ = outer;
    base_.cancelled_ = outer != nullptr && outer->cancelled_;
  }

  /// The task's next step, or its first, begins at `here`.
  void suspend_at(std::coroutine_handle<> here, promise_base* leaf) noexcept {
    resume_at_ = here;
    leaf_ = leaf;
  }

  /// Suspends the running task at `here` until wake(); `what` knows how to undo that.
  void park(std::coroutine_handle<> here, promise_base* leaf, wait& what) noexcept {
    suspend_at(here, leaf);
    wait_ = &what;
    what.waiter_ = this;
  }

  /// The wait is over; the scheduler puts the task into its queue.
  void unpark() noexcept { wait_ = nullptr; }

  scope& base_scope() noexcept { return base_; }
  const scope& base_scope() const noexcept { return base_; }
  scope& innermost() const noexcept { return *innermost_; }
  bool cancelled() const noexcept { return innermost_->cancelled_; }

  const wait* waiting_for() const noexcept { return wait_; }
  const promise_base* leaf() const noexcept { return leaf_; }
  std::uint64_t id() const noexcept { return id_; }
  void set_id(std::uint64_t id) noexcept { id_ = id; }
  std::int64_t parked_since() const noexcept { return parked_since_; }
  bool fresh() const noexcept { return progress_ == progress::fresh; }
  bool finished() const noexcept { return progress_ == progress::finished; }

  /// The innermost fiber that waits in this task, or waited last; null: none, or it has ended.
  fiber_base* fiber() const noexcept { return fiber_; }
  void waits_in(fiber_base* fiber) noexcept { fiber_ = fiber; }

  /// It is fresh no more.
  void start() noexcept { progress_ = progress::started; }

  task_record* next_ready_ = nullptr;  // the ready queue's link

 private:
  friend class scope;
  friend struct execution;

  enum class progress : unsigned char { fresh, started, finished };

  std::coroutine_handle<> resume_at_;
  wait* wait_ = nullptr;  // null: running or ready; else what it waits for
  scope* innermost_ = &base_;
  progress progress_ = progress::fresh;
  promise_base* leaf_ = nullptr;  // where a suspended task goes on; null: unknown, or not in a ringlet::task
  fiber_base* fiber_ = nullptr;
  scope base_;
  std::uint64_t id_ = 0;
  std::int64_t parked_since_ = 0;
};

using ready_queue = intrusive_queue<task_record, &task_record::next_ready_>;

/// What runs on this thread right now, and next.
struct execution {
  task_record* task = nullptr;   // null: no task, or outside of run()
  int budget = 0;                // transfers and immediate awaits left before the task has to queue again
  int steps = 0;                 // how many may still begin where another one ends, before the loop has its say
  task_record* batch = nullptr;  // the tasks that run after this one in the same turn, linked; null: none
  ready_queue ready;             // the tasks of the next turn
  std::int64_t now = 0;          // the loop's time, for dumps
  bool dropping = false;         // a task that never began is being destroyed, and with it what it would have awaited

  /// The first of the batch, taken out.
  task_record& take_first() noexcept { return *std::exchange(batch, batch->next_ready_); }

  /// The first of the batch runs from now on; gives where it goes on.
  std::coroutine_handle<> begin_step(int its_budget) noexcept {
    task = &take_first();
    task->parked_since_ = now;
    budget = its_budget;
    return task->resume_at_;
  }

  /// The running task's outermost coroutine has ended. The loop sees to the rest, before anything else begins.
  void end_task() noexcept {
    task->progress_ = task_record::progress::finished;
    steps = 0;
  }
};

inline constinit thread_local execution current;

/// How often a task may transfer between coroutines, or await what is ready, in one step.
/// Why: bounds the stack where symmetric transfer is not a tail call, and lets other tasks have their turn.
inline constexpr int step_budget = 128;

inline bool cancel_requested() noexcept {
  return current.task->cancelled();
}

/// Counts an await that is over at once. False: the budget is spent, suspend with preempt() instead.
inline bool within_budget() noexcept {
  return --current.budget > 0;
}

/// A step behind which the next one may begin without a return to the loop uses no more of its budget. Why: else such
/// steps in a row would multiply what bounds the stack.
inline constexpr int short_step = 8;

/// Ends the step of a task that has suspended: the last thing that its await_suspend does. Gives where the thread goes
/// on: in the next task of the batch, without a return to the loop, or else in the loop.
[[nodiscard]] inline std::coroutine_handle<> next_step() noexcept {
  task_record* const next = current.batch;
  const bool goes_on = next != nullptr && !next->fresh() && current.steps > 0;
  if (!goes_on || current.budget < step_budget - short_step) return std::noop_coroutine();
  --current.steps;
  return current.begin_step(step_budget);
}

/// Sends the running task to the back of the queue; it goes on at `here`. For await_suspend, like next_step().
[[nodiscard]] inline std::coroutine_handle<> preempt(std::coroutine_handle<> here, promise_base* leaf) noexcept {
  current.task->suspend_at(here, leaf);
  current.ready.push_back(*current.task);
  return next_step();
}

/// The handle to return from await_suspend in order to go on at `next`.
[[nodiscard]] inline std::coroutine_handle<> transfer(std::coroutine_handle<> next) noexcept {
  if (within_budget()) [[likely]]
    return next;
  return preempt(next, nullptr);
}

}  // namespace ringlet::detail
