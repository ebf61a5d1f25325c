// L1 coroutine types: a task as the scheduler sees it, and its cancel scopes; knows no clock and no scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/intrusive.hpp>

#include <coroutine>
#include <cstdint>
#include <limits>
#include <utility>

namespace ringlet::detail {

class bound_value;
class fiber_base;
class promise_base;
class task_record;

/// What a wait shows of itself in a dump: "receive fd 7".
struct wait_text {
  const char* what;        // a literal: it is looked at later, too
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
  ~scope() { RINGLET_CHECK(host_ == nullptr || is_base(), "a cancel scope was destroyed while in use"); }

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

  /// Of its host: the outermost, which lives as long as the task.
  bool is_base() const noexcept;
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

  /// Puts the task, as the child of a nursery or (outer null) as the root, under that scope. Call after suspend_at().
  void put_under(scope* outer) noexcept {
    base_.host_ = this;
    base_.outer_ = outer;
    if (outer != nullptr && outer->cancelled_) {
      base_.cancelled_ = true;
      drop();
    }
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

  /// The task's next step begins at `here`; gives where it would have begun.
  std::coroutine_handle<> go_on_at(std::coroutine_handle<> here) noexcept { return std::exchange(resume_at_, here); }

  /// The wait is over; the scheduler puts the task into its queue.
  void unpark() noexcept { wait_ = nullptr; }

  scope& base_scope() noexcept { return base_; }
  const scope& base_scope() const noexcept { return base_; }
  scope& innermost() const noexcept { return *innermost_; }
  bool cancelled() const noexcept { return innermost_->cancelled_; }

  wait* waiting_for() noexcept { return wait_; }
  const wait* waiting_for() const noexcept { return wait_; }
  const promise_base* leaf() const noexcept { return leaf_; }
  std::uint64_t id() const noexcept { return id_; }
  void set_id(std::uint64_t id) noexcept { id_ = id; }
  std::int64_t parked_since() const noexcept { return parked_since_; }
  /// Its first step has not begun.
  bool fresh() const noexcept { return parked_since_ == no_step_yet; }
  /// It was cancelled before its first step, and never takes it.
  bool dropped() const noexcept { return progress_ == progress::dropped; }
  /// It has finished, or was dropped: there will be no further step.
  bool over() const noexcept { return progress_ != progress::under_way; }

  /// The innermost fiber that waits in this task, or waited last; null: none, or it has ended.
  fiber_base* fiber() const noexcept { return fiber_; }
  void waits_in(fiber_base* fiber) noexcept { fiber_ = fiber; }

  /// The newest value that a task_local has for it; null: none.
  bound_value* bound() const noexcept { return bound_; }
  /// Gives what it was before.
  bound_value* bind(bound_value* newest) noexcept { return std::exchange(bound_, newest); }

  // What each step touches comes first, side by side.
  task_record* next_ready_ = nullptr;  // the ready queue's link

 private:
  friend class scope;
  friend struct execution;

  enum class progress : unsigned char { under_way, dropped, finished };
  static constexpr std::int64_t no_step_yet = std::numeric_limits<std::int64_t>::min();

  /// Undoes the wait, if there is one. A task that has not begun never will.
  void interrupt() noexcept {
    if (wait_ != nullptr) return wait_->cancel();
    if (fresh()) drop();
  }
  void drop() noexcept {
    progress_ = progress::dropped;
    resume_at_ = std::noop_coroutine();  // its only step is one of the loop's, which ends it
  }

  std::coroutine_handle<> resume_at_;
  wait* wait_ = nullptr;  // null: running or ready; else what it waits for
  scope* innermost_ = &base_;
  std::int64_t parked_since_ = no_step_yet;  // or, until its wait begins, since when it runs

  promise_base* leaf_ = nullptr;  // where a suspended task goes on; null: unknown, or not in a ringlet::task
  fiber_base* fiber_ = nullptr;
  scope base_;
  std::uint64_t id_ = 0;
  bound_value* bound_ = nullptr;
  progress progress_ = progress::under_way;
};

inline bool scope::is_base() const noexcept {
  return this == &host_->base_;
}

}  // namespace ringlet::detail
