// L3 scopes: awaits that end in time; knows the scheduler's timers and cancel scopes.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/error.hpp>
#include <ringlet/scheduler.hpp>

namespace ringlet {

namespace detail {

/// Cancels its scope when its time is over.
template <class A>
class deadline_awaiter : public scoped_awaiter<A>, private timer {
 public:
  template <class B>
  deadline_awaiter(B&& awaitable, duration length, time_point deadline)
      : scoped_awaiter<A>(std::forward<B>(awaitable), scope::kind::plain), length_(length), deadline_(deadline) {}

  bool await_ready() {
    scheduler& loop = this_loop();
    const time_point deadline = deadline_ == never ? later(loop.now(), length_) : deadline_;
    this->scope_.enter();
    if (deadline <= loop.now()) {
      this->scope_.cancel();
    } else if (deadline != never) {
      loop.add_timer(*this, deadline);
    }
    return this->inner_.get().await_ready();
  }

 protected:
  /// Ends the scope. True: the time was over, and that is why the work inside was cancelled, if it was.
  bool close() noexcept {
    this_loop().remove_timer(*this);
    const bool expired = this->scope_.catches();
    this->scope_.leave();
    return expired;
  }

  /// Resumes the work; true when the deadline ended it.
  bool ended_by_deadline(outcome<typename scoped_awaiter<A>::value_type>& result) noexcept {
    const bool expired = close();
    resume_into(result, this->inner_.get());
    return expired && result.was_cancelled();
  }

 private:
  void fire() noexcept override { this->scope_.cancel(); }

  duration length_;
  time_point deadline_;  // never: length_ counts
};

template <class A>
class [[nodiscard]] timeout_awaiter final : public deadline_awaiter<A> {
 public:
  using deadline_awaiter<A>::deadline_awaiter;

  typename scoped_awaiter<A>::value_type await_resume() {
    outcome<typename scoped_awaiter<A>::value_type> result;
    if (this->ended_by_deadline(result)) throw timed_out();
    return result.take();
  }
};

template <class A>
class [[nodiscard]] move_on_awaiter final : public deadline_awaiter<A> {
 public:
  using deadline_awaiter<A>::deadline_awaiter;

  maybe<typename scoped_awaiter<A>::value_type> await_resume() {
    using value = typename scoped_awaiter<A>::value_type;
    outcome<value> result;
    if (this->ended_by_deadline(result)) return maybe<value>();
    return to_maybe(result);
  }
};

}  // namespace detail

/// Awaits `a` for at most `length`; gives its result. units: nanoseconds; zero or less is over at once.
/// errors: timed_out when the time is over; else what `a` throws. A result that came in time is never lost.
/// cancel: goes through to `a`.
template <class A>
detail::timeout_awaiter<std::decay_t<A>> with_timeout(duration length, A&& a) {
  return detail::timeout_awaiter<std::decay_t<A>>(std::forward<A>(a), length, never);
}

/// As with_timeout, until a point in time.
template <class A>
detail::timeout_awaiter<std::decay_t<A>> with_deadline(time_point when, A&& a) {
  return detail::timeout_awaiter<std::decay_t<A>>(std::forward<A>(a), duration::max(), when);
}

/// Awaits `a` for at most `length`; gives optional<T>, or bool for void: empty when the time was over.
/// errors: what `a` throws. cancel: goes through to `a`.
template <class A>
detail::move_on_awaiter<std::decay_t<A>> move_on_after(duration length, A&& a) {
  return detail::move_on_awaiter<std::decay_t<A>>(std::forward<A>(a), length, never);
}

}  // namespace ringlet
