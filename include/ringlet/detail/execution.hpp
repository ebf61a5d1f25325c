// L1 coroutine types: what runs on a thread now, and what next; knows no clock and no scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/stack_address.hpp>
#include <ringlet/detail/task_record.hpp>

#include <coroutine>
#include <cstdint>
#include <limits>
#include <utility>

namespace ringlet::detail {

class remote_work;

/// Tasks that are ready, first in, first out. Why not an intrusive_queue: to put a task in asks nothing here.
class ready_queue {
 public:
  /// Empty from now on. Before the first use, and when tasks were left in it.
  void clear() noexcept { end_ = &first_; }

  bool empty() const noexcept { return end_ == &first_; }

  void push_back(task_record& task) noexcept {
    *end_ = &task;
    end_ = &task.next_ready_;
  }

  /// The first one, linked to all others; null when empty.
  task_record* take_all() noexcept {
    *end_ = nullptr;
    clear();
    return first_;
  }

  /// A place between two tasks; it stays one until take_all().
  using place = task_record* const*;
  place begin() const noexcept { return &first_; }
  place end() const noexcept { return end_; }

  /// Calls f(task) for each one that came in behind that place.
  template <class F>
  void for_each_behind(place from, F f) {
    *end_ = nullptr;
    for (task_record* task = *from; task != nullptr; task = task->next_ready_) f(*task);
  }

  /// How many there are, counted one by one.
  std::size_t size() noexcept {
    *end_ = nullptr;
    return size(first_);
  }
  /// Counts a task and what is linked to it.
  static std::size_t size(const task_record* first) noexcept {
    std::size_t count = 0;
    for (const task_record* task = first; task != nullptr; task = task->next_ready_) ++count;
    return count;
  }

 private:
  task_record* first_ = nullptr;  // of no meaning while it is empty
  task_record** end_ = nullptr;   // the link to write next: the last one's, or first_
};

/// How often a task may call coroutines, or await what is ready, in one step.
/// Why: lets the other tasks have their turn, and bounds the stack where a call between coroutines is not a jump.
inline constexpr int step_budget = 128;

/// How often the loop reads the clock when nobody asks for the time. Why: for dumps.
inline constexpr std::uint64_t turns_a_reading = 64;

/// Where other threads and the kernel leave word for the loop. Why not std::atomic: its header would be half of what
/// this one costs.
struct letter_boxes {
  remote_work* const* threads = nullptr;  // what other threads push to; holds null: nothing has come
  const volatile unsigned* kernel = nullptr;
  unsigned flags = 0;  // those that the kernel sets when something has come

  bool empty() const noexcept {
    return __atomic_load_n(threads, __ATOMIC_RELAXED) == nullptr && (*kernel & flags) == 0;
  }
};

/// What runs on this thread right now, and next.
struct alignas(64) execution {
  // What each step touches: one line of the cache.
  task_record* task = nullptr;     // null: no task, or outside of run()
  int budget = 0;                  // calls of coroutines and immediate awaits left before the task must queue again
  bool loop_wanted = true;         // it has something to do before the next batch begins
  bool time_is_stale = true;       // the loop's time is that of an earlier turn
  bool dropping = false;           // a task that never began is being destroyed, with what it would have awaited
  task_record* batch = nullptr;    // what runs after this in the same turn, linked; null: nothing
  ready_queue ready;               // the tasks of the next turn
  std::int64_t now = 0;            // the loop's time, for dumps
  std::uintptr_t lowest_step = 0;  // a stack in use further down than here goes back to the loop before the next task,
  std::uintptr_t lowest_return = 0;  // and further down than here before the caller of a coroutine that ends

  letter_boxes boxes;       // of the loop
  std::uint64_t turns = 0;  // that have begun

  /// Above every stack: as a limit, it lets nothing go on without the loop.
  static constexpr std::uintptr_t nowhere = std::numeric_limits<std::uintptr_t>::max();

  /// Begins a turn in which the loop has nothing to do but to let its batch run. False: it has, or there is no batch.
  bool begin_short_turn() noexcept {
    if (loop_wanted || turns % turns_a_reading == 0 || ready.empty() || !boxes.empty()) return false;
    ++turns;
    time_is_stale = true;
    batch = ready.take_all();
    return true;
  }

  /// The first of the batch runs from now on; gives where it goes on.
  std::coroutine_handle<> begin_step() noexcept {
    task = std::exchange(batch, batch->next_ready_);
    task->parked_since_ = now;
    budget = step_budget;
    return task->resume_at_;
  }

  /// The running task's outermost coroutine has ended. The loop sees to that before anything else begins.
  void end_task() noexcept { task->progress_ = task_record::progress::finished; }
};

inline constinit thread_local execution current;

inline bool cancel_requested() noexcept {
  return current.task->cancelled();
}

/// Counts an await that is over at once. False: the budget is spent, suspend with preempt() instead.
inline bool within_budget() noexcept {
  return --current.budget >= 0;
}

/// Ends the step of a task that has suspended: the last thing that its await_suspend does. Gives where the thread goes
/// on: in the next task of the batch, without a return to the loop, or else in the loop.
[[nodiscard]] inline std::coroutine_handle<> next_step() noexcept {
  const bool stack_is_low = stack_address() < current.lowest_step;
  if (stack_is_low || (current.batch == nullptr && !current.begin_short_turn())) return std::noop_coroutine();
  return current.begin_step();
}

/// Sends the running task to the back of the queue; it goes on at `here`. For await_suspend, like next_step().
[[nodiscard]] inline std::coroutine_handle<> preempt(std::coroutine_handle<> here, promise_base* leaf) noexcept {
  current.task->suspend_at(here, leaf);
  current.ready.push_back(*current.task);
  return next_step();
}

/// The handle to return from await_suspend in order to begin, or go on with, what is awaited at `next`.
[[nodiscard]] inline std::coroutine_handle<> transfer(std::coroutine_handle<> next) noexcept {
  if (within_budget()) [[likely]]
    return next;
  return preempt(next, nullptr);
}

/// The handle to return from await_suspend in order to go back to who awaits. Why not counted: what is called is.
[[nodiscard]] inline std::coroutine_handle<> transfer_back(std::coroutine_handle<> caller) noexcept {
  if (stack_address() > current.lowest_return) [[likely]]
    return caller;
  return preempt(caller, nullptr);
}

}  // namespace ringlet::detail
