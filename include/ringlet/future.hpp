// L5 services: future, the result of a function that a thread pool runs; knows pools and the scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/future_state.hpp>
#include <ringlet/detail/ref.hpp>
#include <ringlet/detail/wait_queue.hpp>
#include <ringlet/error.hpp>

#include <stdexcept>

namespace ringlet {

template <class R>
class future;

namespace detail {

template <class R>
future<R> begin_future(future_result<R>& call);

/// Runs a callback once the future is done.
template <class R, class F>
class future_callback final : public future_listener {
 public:
  template <class G>
  future_callback(future_result<R>& of, G&& callback) : of_(&of), callback_(std::forward<G>(callback)) {}

 private:
  void done() noexcept override;
  void loop_ended() noexcept override { delete this; }

  ref<future_result<R>> of_;
  F callback_;
};

}  // namespace detail

/// The result of a function that was given to thread_pool::submit(). Dropping it changes nothing: the function runs.
/// `co_await f` gives the result, to each who asks a copy; co_await std::move(f), and of a result that cannot be
/// copied also `co_await f`, gives it away.
/// errors: what the function threw; task_cancelled; std::logic_error when the result was given away before, and on a
/// worker of the pool when all others wait for the pool already, for then nobody would be left who works.
/// cancel: ends the await, and leaves the function alone.
/// threads: any may ask for done() and the like and wait in get(), while none moves or destroys it.
template <class R>
class [[nodiscard]] future {
 public:
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;

  /// The function has ended, in whatever way, or never will begin.
  bool done() const noexcept { return state_->over(); }
  /// A worker runs it now.
  bool running() const noexcept { return state_->running(); }
  /// It was cancelled before it had a result.
  bool was_cancelled() const noexcept { return state_->was_cancelled(); }

  /// True: it had not begun, and never will. Else a function that takes a std::stop_token is told, and all goes on.
  bool cancel() noexcept { return state_->cancel(); }

  /// Blocks until it is done; gives the result as co_await does. On a worker of the same pool, a function that has not
  /// begun is run on the spot. errors: as of co_await; std::logic_error on a loop's thread, when it is not done: there,
  /// await it.
  R get() const& {
    state_->wait();
    return state_->copy();
  }
  /// The same, and gives the result away.
  R get() && {
    state_->wait();
    return state_->move();
  }

  /// Calls callback(*this), or callback(), once it is done, in a turn of the calling loop; at once is the next turn.
  /// What it throws ends run(), as of a posted function. When that loop has ended by then, it is destroyed uncalled, on
  /// a worker or on the thread that cancels.
  /// threads: the loop's.
  template <class F>
  void on_done(F&& callback) {
    state_->listen(*new detail::future_callback<R, std::decay_t<F>>(*state_, std::forward<F>(callback)));
  }

  /// Awaitable; gives the result.
  template <bool GiveAway>
  class awaiter;

  awaiter<false> operator co_await() const& noexcept { return awaiter<false>(state_); }
  awaiter<true> operator co_await() && noexcept { return awaiter<true>(std::move(state_)); }

 private:
  friend future detail::begin_future<R>(detail::future_result<R>& call);
  template <class, class>
  friend class detail::future_callback;

  explicit future(detail::ref<detail::future_result<R>> state) noexcept : state_(std::move(state)) {}

  detail::ref<detail::future_result<R>> state_;  // null: moved away
};

/// Waits until the future is done; then copies its result, or moves it out.
template <class R>
template <bool GiveAway>
class [[nodiscard]] future<R>::awaiter final : public detail::wait,
                                               public detail::cancel_note,
                                               private detail::future_listener {
 public:
  explicit awaiter(detail::ref<detail::future_result<R>> state) noexcept : state_(std::move(state)) {}

  bool await_ready() noexcept { return refuse_if_cancelled() || (state_->over() && detail::within_budget()); }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) {
    if (!state_->await(*this)) return detail::preempt(here);
    park(here, *this);
    return detail::next_step();
  }
  R await_resume() {
    throw_if_cancelled();
    return GiveAway ? state_->move() : state_->copy();
  }

  void cancel() noexcept override {
    if (!state_->stop_listening(*this)) return;
    note_cancelled();
    detail::this_loop().wake(*waiter());
  }
  detail::wait_text describe() const noexcept override { return {"await a future"}; }

 private:
  void done() noexcept override { detail::this_loop().wake(*waiter()); }
  void loop_ended() noexcept override {}  // Why empty: a loop does not end while a task waits

  detail::ref<detail::future_result<R>> state_;
};

namespace detail {

template <class R>
future<R> begin_future(future_result<R>& call) {
  ref<future_result<R>> state(&call);
  call.begin();
  return future<R>(std::move(state));
}

template <class R, class F>
void future_callback<R, F>::done() noexcept {
  try {
    if constexpr (std::is_invocable_v<F&, future<R>&>) {
      future<R> itself(of_);
      callback_(itself);
    } else {
      callback_();
    }
  } catch (...) {
    posted_function_failed();
  }
  delete this;
}

}  // namespace detail
}  // namespace ringlet
