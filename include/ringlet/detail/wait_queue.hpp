// L2 scheduler: tasks that wait for the same thing, first come, first served; knows only the scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/intrusive.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/task.hpp>

namespace ringlet::detail {

/// Whether an await was cancelled. Base of awaiters.
class cancel_note {
 public:
  bool await_cancelled() const noexcept { return cancelled_; }

 protected:
  /// For await_ready: true when the task is cancelled and must not even try. Why noted in either case: an awaiter that
  /// was cancelled once may be awaited again.
  bool refuse_if_cancelled() noexcept {
    cancelled_ = cancel_requested();
    return cancelled_;
  }

  void note_cancelled() noexcept { cancelled_ = true; }

  void throw_if_cancelled() const {
    if (cancelled_) [[unlikely]]
      throw cancelled{};
  }

 private:
  bool cancelled_ = false;
};

/// The common part of awaiters that wait in a queue. Derived classes say when they are ready and what they give.
class queued_wait : public wait, public list_links, public cancel_note {
 public:
  void cancel() noexcept override {
    if (!linked()) return;
    unlink();
    note_cancelled();
    this_loop().wake(*waiter());
  }

 protected:
  queued_wait() = default;
  queued_wait(const queued_wait& other) noexcept : wait(other), list_links(), cancel_note() {}
  ~queued_wait() = default;
};

template <class Wait>
class wait_queue {
 public:
  bool empty() const noexcept { return waits_.empty(); }
  std::size_t size() const noexcept {
    std::size_t count = 0;
    for (const Wait* w = waits_.front(); w != nullptr; w = waits_.after(*w)) ++count;
    return count;
  }

  Wait* front() const noexcept { return waits_.front(); }

  /// Parks the running task until its wait is popped, or undone by queued_wait::cancel().
  template <class Promise>
  void park(std::coroutine_handle<Promise> here, Wait& w) noexcept {
    add(w);
    detail::park(here, w);
  }

  /// Adds what is not waited for by a task. Only for pop().
  void add(Wait& w) noexcept { waits_.push_back(w); }

  /// Ends the oldest wait, without waking anybody; null when nobody waits.
  Wait* pop() noexcept { return waits_.pop_front(); }

  /// Ends the oldest wait and makes its task ready; null when nobody waits.
  Wait* wake_one() noexcept {
    Wait* first = waits_.pop_front();
    if (first != nullptr) this_loop().wake(*first->waiter());
    return first;
  }

  void wake_all() noexcept {
    while (wake_one() != nullptr) {
    }
  }

 private:
  intrusive_list<Wait, list_links> waits_;
};

}  // namespace ringlet::detail
