// L1 coroutine types: async_generator, the coroutine that awaits and yields; knows only the running task's record.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/optional_reference.hpp>
#include <ringlet/task.hpp>

#include <concepts>
#include <coroutine>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace ringlet {

/// A coroutine that yields values one by one, and may await on the way: `while (auto n = co_await numbers.next())`.
/// It starts with the first next(), and runs only inside the awaits of next() and close(), as a part of the task that
/// awaits. To its body each co_yield is an await like any other: in a cancelled task it throws `cancelled`.
/// Yield: a value, or a reference to what lives on while the generator is suspended.
/// errors: what the body throws comes out of the await that ran it, and ends the generator.
/// cancel: reaches what the body awaits, comes out of next(), and ends the generator.
/// lifetime: owns its frame; reference parameters must outlive it. When it is destroyed before its end, what lives in
/// the frame is destroyed, and clean-up that awaits does not run: for that there is close(). It must not be moved or
/// destroyed while somebody awaits it.
template <class Yield>
class [[nodiscard]] async_generator {
  static_assert(!std::is_rvalue_reference_v<Yield> && !std::is_void_v<Yield>, "yield a value or an lvalue reference");

 public:
  class promise_type;
  class next_awaiter;
  class close_awaiter;
  using optional = detail::optional<Yield>;  // std::optional<Yield>, or an optional_reference

  async_generator(async_generator&& other) noexcept : frame_(other.release()) {}
  async_generator& operator=(async_generator&& other) noexcept {
    if (this != &other) {
      destroy();
      frame_ = other.release();
    }
    return *this;
  }
  ~async_generator() { destroy(); }

  /// Runs to the next value and moves it out; nullopt: the generator has ended. One await at a time; this goes for
  /// next() and close() together. lifetime: of a reference, until the next await.
  next_awaiter next() noexcept { return next_awaiter(*this); }

  /// Ends the generator where it is suspended: its co_yield throws `cancelled`, and so does each one after it, so that
  /// clean-up runs which may await. One that has not begun, or has ended, is only destroyed.
  /// errors: what the clean-up throws. cancel: reaches what the clean-up awaits; close() itself throws no `cancelled`,
  /// and the request waits for the next await.
  close_awaiter close() noexcept { return close_awaiter(*this); }

  /// True: it has ended, or was moved away, and next() gives nullopt from now on.
  bool done() const noexcept { return frame_ == nullptr; }

 private:
  using slot = std::optional<detail::stored<Yield>>;

  explicit async_generator(promise_type& frame) noexcept : frame_(&frame) {}

  void check_not_in_flight() const noexcept {
    RINGLET_CHECK(done() || !frame_->in_flight(), "an async_generator was awaited while another await of it ran");
  }

  /// After an await: the body is at a co_yield, or has ended. Throws what it ended with.
  void settle() {
    if (done() || !frame_->in_flight()) return;
    frame_->note_suspended();
    if (!frame_->finished()) return;
    const async_generator ended(std::move(*this));
    ended.frame_->result().take();
  }

  /// The same, for a body that was ended by `cancelled`; for any other it does nothing, and gives false.
  bool settle_cancelled() noexcept {
    if (done() || !frame_->in_flight() || !frame_->ended_cancelled()) return false;
    frame_->note_suspended();
    destroy();
    return true;
  }

  // Null where there is no frame. Leaves the generator ended.
  promise_type* release() noexcept {
    RINGLET_CHECK(done() || !frame_->in_flight(), "an async_generator was moved or destroyed while it was awaited");
    return std::exchange(frame_, nullptr);
  }

  void destroy() noexcept {
    if (promise_type* frame = release()) frame->destroy();
  }

  promise_type* frame_;  // null: ended or moved away
};

/// For the compiler.
template <class Yield>
class async_generator<Yield>::promise_type : public detail::promise_base, public detail::ends_with<void> {
 public:
  /// The wait of a co_yield. Like the end of a coroutine, it goes back to who awaits.
  class pause : public final_awaiter {
   public:
    explicit pause(const promise_type& here) noexcept : here_(here) {}
    bool await_ready() const noexcept { return here_.closing(); }
    void await_resume() const {
      if (here_.closing() || detail::cancel_requested()) throw cancelled{};
    }

   private:
    const promise_type& here_;
  };

  async_generator get_return_object(std::source_location created = std::source_location::current()) noexcept {
    this->created_at(created);
    return async_generator(*this);
  }

  template <class U = Yield>
    requires(!std::is_reference_v<Yield> && std::convertible_to<U &&, Yield>)
  pause yield_value(U&& value) {
    static_assert(detail::safe_argument<U>, RINGLET_UNSAFE_ARGUMENT);
    if (!closing()) to_->emplace(std::forward<U>(value));
    return pause(*this);
  }
  pause yield_value(Yield value)
    requires std::is_reference_v<Yield>
  {
    if (!closing()) to_->emplace(std::addressof(value));
    return pause(*this);
  }
  template <class U>
    requires(std::is_reference_v<Yield> && !detail::safe_argument<U>)
  pause yield_value(U&&) {
    static_assert(detail::safe_argument<U>, RINGLET_UNSAFE_ARGUMENT);
    return pause(*this);
  }

  /// For an await_suspend: `caller` awaits the body, up to its next value, which goes to `to`, or to its end.
  template <class Promise>
  std::coroutine_handle<> run_for(std::coroutine_handle<Promise> caller, slot* to) noexcept {
    state_ = state::in_flight;
    to_ = to;
    continue_with(caller, detail::promise_of(caller));
    return detail::transfer(here());
  }
  void note_suspended() noexcept { state_ = state::suspended; }

  bool fresh() const noexcept { return state_ == state::fresh; }
  bool in_flight() const noexcept { return state_ == state::in_flight; }
  bool finished() noexcept { return here().done(); }
  bool ended_cancelled() noexcept { return finished() && this->result().was_cancelled(); }
  void destroy() noexcept { here().destroy(); }

 private:
  enum class state : unsigned char { fresh, in_flight, suspended };

  std::coroutine_handle<promise_type> here() noexcept {
    return std::coroutine_handle<promise_type>::from_promise(*this);
  }
  bool closing() const noexcept { return to_ == nullptr; }

  slot* to_ = nullptr;  // in the awaiter, where the value goes; null, once it runs: nobody will ask for one any more
  state state_ = state::fresh;
};

/// Awaitable; gives optional<Yield>. lifetime: the generator outlives it.
template <class Yield>
class [[nodiscard]] async_generator<Yield>::next_awaiter {
 public:
  explicit next_awaiter(async_generator& of) noexcept : of_(of) {}

  bool await_ready() noexcept {
    of_.check_not_in_flight();
    value_.reset();
    cancelled_ = false;
    return of_.done() && detail::within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    return of_.done() ? detail::preempt(here) : of_.frame_->run_for(here, &value_);
  }
  bool await_cancelled() noexcept {
    cancelled_ = cancelled_ || of_.settle_cancelled();
    return cancelled_;
  }
  optional await_resume() {
    if (cancelled_) throw cancelled{};
    of_.settle();
    if constexpr (std::is_reference_v<Yield>) {
      return value_ ? optional(**value_) : optional();
    } else {
      return std::move(value_);
    }
  }

 private:
  async_generator& of_;
  slot value_;              // what the body has yielded
  bool cancelled_ = false;  // await_cancelled() has settled it
};

/// Awaitable; gives nothing. lifetime: the generator outlives it.
template <class Yield>
class [[nodiscard]] async_generator<Yield>::close_awaiter {
 public:
  static constexpr bool is_own = true;

  explicit close_awaiter(async_generator& of) noexcept : of_(of) {}

  bool await_ready() noexcept {
    of_.check_not_in_flight();
    if (!of_.done() && of_.frame_->fresh()) of_.destroy();
    return of_.done() && detail::within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    return of_.done() ? detail::preempt(here) : of_.frame_->run_for(here, nullptr);
  }
  void await_resume() {
    if (!of_.settle_cancelled()) of_.settle();
  }

 private:
  async_generator& of_;
};

}  // namespace ringlet
