// L5 services: fibers, in which plain functions await; knows tasks and stacks.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/stackful.hpp>
#include <ringlet/task.hpp>

#include <concepts>
#include <cstddef>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

namespace ringlet {

/// What plain functions use that run in a fiber: see in_fiber().
namespace fiber {

/// How large a fiber's stack is: in_fiber(fiber::stack_size(1 << 20), f, args...). units: bytes, rounded up to pages.
class stack_size {
 public:
  /// errors: none yet; in_fiber() refuses less than 16 KiB.
  explicit stack_size(std::size_t bytes) noexcept : bytes_(bytes) {}
  /// What was said, not rounded.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::size_t bytes_;
};

/// Where none is said. Only what was touched of it takes memory.
inline constexpr std::size_t default_stack_size = 256 * 1024;

/// How many free stacks this thread keeps for its next fibers. default: 64. threads: the one that is meant.
void keep_stacks(std::size_t most) noexcept;

}  // namespace fiber

namespace detail {

/// A function with a stack of its own that awaits. A coroutine stands in for it towards the scheduler and all that can
/// be awaited: while the function waits, its stand-in is what is parked.
class fiber_base : private stackful {
 public:
  /// Waits, on this fiber's stack, in the place of its stand-in.
  template <class Awaiter>
  void wait_for(Awaiter& awaiter, const std::source_location& here) {
    stand_in_.promise().stand_in_for(here);
    current.task->waits_in(this);
    const std::coroutine_handle<> next = suspend_on(awaiter, stand_in_);
    if (next != stand_in_) leave_for(next);
  }

 protected:
  fiber_base() = default;
  ~fiber_base() = default;

  /// Runs the function to its end. errors: os_error when there is no stack.
  task<> stand_in(std::size_t stack_size);

 private:
  class turn;
  class counted;

  void note_running() noexcept;
  void leave_for(std::coroutine_handle<> next) noexcept;

  std::coroutine_handle<task<>::promise_type> stand_in_;
  std::coroutine_handle<> next_;  // what the scheduler is to go on with once the function waits or has ended
};

inline constinit thread_local fiber_base* current_fiber = nullptr;  // null: this thread runs no fiber

inline void fiber_base::note_running() noexcept {
  current_fiber = this;
  next_ = stand_in_;
}

/// Where the next task waits in a fiber, too, there is no need to go by way of the scheduler's stack.
inline void fiber_base::leave_for(std::coroutine_handle<> next) noexcept {
  fiber_base* const other = current.task->fiber();
  if (other != nullptr && next == other->stand_in_ && !other->finished()) {
    other->note_running();
    pass_on_to(*other);
  } else {
    next_ = next;
    suspend();
  }
}

[[noreturn]] void throw_outside_of_fiber();

template <class F, class... Args>
class fiber_call final : private fiber_base {
 public:
  using result_type = std::invoke_result_t<F, Args...>;

  fiber_call(F& function, Args&... args) noexcept : function_(function), args_(std::move(args)...) {}

  task<> run_to_end(std::size_t stack_size) { return stand_in(stack_size); }
  outcome<result_type>& result() noexcept { return result_; }

 private:
  void run() noexcept override {
    call_into(result_, [this]() -> result_type { return std::apply(std::move(function_), std::move(args_)); });
  }

  F& function_;
  std::tuple<Args&&...> args_;
  outcome<result_type> result_;
};

template <class F, class... Args>
task<std::invoke_result_t<F, Args...>> run_in_fiber(std::size_t stack_size, F function, Args... args) {
  fiber_call<F, Args...> call(function, args...);
  co_await call.run_to_end(stack_size);
  co_return call.result().take();
}

}  // namespace detail

/// `co_await in_fiber(size, f, args...)` runs the plain function f(args...) on a stack of its own, on this loop, as a
/// part of the calling task, and gives its result. What it calls may fiber::await() at any depth. `f` and `args` are
/// copied or moved. errors: what `f` throws; os_error when there is no memory for a stack; std::invalid_argument for a
/// stack of less than 16 KiB. cancel: the awaits in `f` throw `cancelled`, which `f` lets pass, so that its stack is
/// unwound. lifetime: of what is handed over by reference, until the await ends.
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
auto in_fiber(fiber::stack_size size, F&& f, Args&&... args) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  static_assert((detail::safe_argument<Args> && ...), RINGLET_UNSAFE_ARGUMENT);
  return detail::run_in_fiber<std::decay_t<F>, std::decay_t<Args>...>(size.bytes(), std::forward<F>(f),
                                                                      std::forward<Args>(args)...);
}

/// The same, on a stack of fiber::default_stack_size.
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
auto in_fiber(F&& f, Args&&... args) {
  return in_fiber(fiber::stack_size(fiber::default_stack_size), std::forward<F>(f), std::forward<Args>(args)...);
}

namespace fiber {

/// In a fiber, what `co_await a` is in a coroutine: suspends the whole stack, and gives the same result.
/// errors: of `a`; std::logic_error outside of a fiber. cancel: as of `a`.
template <class A>
  requires detail::awaitable<A>
detail::await_result<A> await(A&& a, std::source_location here = std::source_location::current()) {
  if (detail::current_fiber == nullptr) detail::throw_outside_of_fiber();
  auto&& awaiter = detail::get_awaiter(std::forward<A>(a));
  if (!awaiter.await_ready()) detail::current_fiber->wait_for(awaiter, here);
  return awaiter.await_resume();
}

}  // namespace fiber
}  // namespace ringlet
