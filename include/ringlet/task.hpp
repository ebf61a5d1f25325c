// L1 coroutine types: task<T>, the coroutine that is awaited; knows only the running task's record.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/frame_pool.hpp>

#include <cstdint>
#include <source_location>

namespace ringlet {

template <class T = void>
class task;

namespace detail {

/// Stands for an awaitable in a co_await: refers to an awaiter, or holds the one that the awaitable gives.
/// Why: where await_transform returns the awaitable itself by reference, g++ 12 awaits a copy of it.
template <class A>
class awaiting {
  static_assert(awaitable<A>,
                "this cannot be awaited. A task is awaited once, as an rvalue: co_await f(), co_await std::move(t)");

 public:
  explicit awaiting(A&& awaitable) : awaiter_(get_awaiter(std::forward<A>(awaitable))) {}

  bool await_ready() { return awaiter_.await_ready(); }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) {
    return suspend_on(awaiter_, here);
  }
  decltype(auto) await_resume() { return awaiter_.await_resume(); }

 private:
  decltype(get_awaiter(std::declval<A>())) awaiter_;
};

/// What every coroutine of ringlet carries: where it goes on when it ends, and where it is, for dumps.
class promise_base : public pooled {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) const noexcept {
      const std::coroutine_handle<> next = here.promise().continuation_;
      if (next) return transfer_back(next);
      current.end_task();
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }

  /// Notes where the coroutine waits. Why a number: g++ would keep a copy of a source_location in the frame.
  template <class A>
  awaiting<A> await_transform(A&& awaitable, std::uint_least32_t line = __builtin_LINE()) {
    awaits_in_line_ = line;
    return awaiting<A>(std::forward<A>(awaitable));
  }

  /// caller: the coroutine behind next, where that is one of ringlet's.
  void continue_with(std::coroutine_handle<> next, promise_base* caller) noexcept {
    continuation_ = next;
    caller_ = caller;
  }

  /// For a coroutine that only stands in for other code: where that is.
  void stand_in_for(const std::source_location& where) noexcept {
    created_at_ = where;
    awaits_in_line_ = where.line();
  }

  const promise_base* caller() const noexcept { return caller_; }
  const std::source_location& created_at() const noexcept { return created_at_; }
  /// Of the file that created_at() names; 0: it has not awaited anything yet.
  std::uint_least32_t awaits_in_line() const noexcept { return awaits_in_line_; }

 protected:
  explicit promise_base(std::source_location created = {}) noexcept : created_at_(created) {}
  void created_at(std::source_location where) noexcept { created_at_ = where; }

 private:
  std::coroutine_handle<> continuation_;  // null: the outermost coroutine of its task
  std::source_location created_at_;
  promise_base* caller_ = nullptr;  // Why not beside continuation_: g++ then writes both through a vector register
  std::uint_least32_t awaits_in_line_ = 0;
};

/// The promise behind a handle, as far as it is one of ringlet's.
template <class Promise>
promise_base* promise_of(std::coroutine_handle<Promise> here) noexcept {
  if constexpr (std::derived_from<Promise, promise_base>) {
    return &here.promise();
  } else {
    return nullptr;
  }
}

/// Parks the running task: for the await_suspend of a wait.
template <class Promise>
void park(std::coroutine_handle<Promise> here, wait& what) noexcept {
  current.task->park(here, promise_of(here), what);
}

/// Sends the running task to the back of the queue: for the await_suspend of an await that is over already.
template <class Promise>
[[nodiscard]] std::coroutine_handle<> preempt(std::coroutine_handle<Promise> here) noexcept {
  return preempt(here, promise_of(here));
}

[[noreturn]] void task_never_awaited(const std::source_location& created) noexcept;

}  // namespace detail

/// A coroutine that gives a T. It starts when it is awaited, once, as an rvalue: `co_await f()`.
/// errors: what its body throws comes out of the await.
/// cancel: goes through to what the body awaits.
/// lifetime: owns its frame; reference parameters must outlive the await.
template <class T>
class [[nodiscard]] task {
 public:
  class promise_type : public detail::promise_base, public detail::ends_with<T> {
   public:
    task get_return_object(std::source_location created = std::source_location::current()) noexcept {
      this->created_at(created);
      return task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~task() {
    if (!frame_) return;
#if defined(RINGLET_STRICT)
    if (!detail::current.dropping) detail::task_never_awaited(frame_.promise().created_at());
#endif
    frame_.destroy();
  }

  class awaiter {
   public:
    explicit awaiter(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    awaiter(awaiter&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    awaiter& operator=(awaiter&&) = delete;
    ~awaiter() {
      if (frame_) frame_.destroy();
    }

    bool await_ready() const noexcept { return false; }

    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> caller) noexcept {
      frame_.promise().continue_with(caller, detail::promise_of(caller));
      return detail::transfer(frame_);
    }

    bool await_cancelled() noexcept { return frame_.promise().result().was_cancelled(); }
    T await_resume() { return frame_.promise().result().take(); }

    // For the record of a spawned task, which starts the frame itself and has nobody awaiting it.
    std::coroutine_handle<promise_type> frame() const noexcept { return frame_; }

   private:
    std::coroutine_handle<promise_type> frame_;
  };

  awaiter operator co_await() && noexcept {
    RINGLET_CHECK(frame_, "a task was awaited a second time, or after it was moved away");
    return awaiter(std::exchange(frame_, nullptr));
  }

  /// Lets go of a task that shall never run.
  void drop() && noexcept {
    if (frame_) std::exchange(frame_, nullptr).destroy();
  }

 private:
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;  // null: moved away or awaited
};

}  // namespace ringlet
