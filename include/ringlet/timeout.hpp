// L3 scopes: awaits that end in time; knows the scheduler's timers and cancel scopes.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/error.hpp>
#include <ringlet/scheduler.hpp>

namespace ringlet {

namespace detail {

/// A scope that is cancelled when its time is over.
class deadline_scope final : public scope, private timer {
 public:
  explicit deadline_scope(duration length) noexcept : length_(length) {}
  explicit deadline_scope(time_point deadline) noexcept : deadline_(deadline) {}

  void enter() noexcept {
    scheduler& loop = this_loop();
    const time_point deadline = deadline_ == never ? later(loop.now(), length_) : deadline_;
    scope::enter();
    if (deadline <= loop.now()) {
      cancel();
    } else if (deadline != never) {
      loop.add_timer(*this, deadline);
    }
  }
  void leave() noexcept {
    this_loop().remove_timer(*this);
    scope::leave();
  }

 private:
  void fire() noexcept override { cancel(); }

  duration length_ = duration::max();
  time_point deadline_ = never;  // never: length_ counts
};

template <class A>
class deadline_awaiter : public scoped_awaiter<A, deadline_scope> {
 public:
  template <class B>
  deadline_awaiter(B&& awaitable, const deadline_scope& s)
      : scoped_awaiter<A, deadline_scope>(std::forward<B>(awaitable), s) {}

 protected:
  /// Resumes the work and ends the scope; true when the deadline ended the work.
  bool ended_by_deadline(outcome<typename deadline_awaiter::value_type>& result) noexcept {
    resume_into(result, this->inner_.get());
    const bool expired = this->scope_.catches();
    this->scope_.leave();
    return expired && result.was_cancelled();
  }
};

template <class A>
class [[nodiscard]] timeout_awaiter final : public deadline_awaiter<A> {
 public:
  using deadline_awaiter<A>::deadline_awaiter;

  typename deadline_awaiter<A>::value_type await_resume() {
    outcome<typename deadline_awaiter<A>::value_type> result;
    if (this->ended_by_deadline(result)) throw timed_out();
    return result.take();
  }
};

template <class A>
class [[nodiscard]] move_on_awaiter final : public deadline_awaiter<A> {
 public:
  using deadline_awaiter<A>::deadline_awaiter;

  maybe<typename deadline_awaiter<A>::value_type> await_resume() {
    using value = typename deadline_awaiter<A>::value_type;
    outcome<value> result;
    if (this->ended_by_deadline(result)) return maybe<value>();
    return to_maybe(result);
  }
};

}  // namespace detail

/// Awaits `a` for at most `length`; gives its result. Zero or less is over at once.
/// errors: timed_out when the time is over; else what `a` throws. A result that came in time is never lost.
/// cancel: goes through to `a`.
template <class A>
detail::timeout_awaiter<detail::held<A>> with_timeout(any_duration length, A&& a) {
  return detail::timeout_awaiter<detail::held<A>>(detail::hold(std::forward<A>(a)), detail::deadline_scope(length));
}

/// As with_timeout, until a point in time.
template <class A>
detail::timeout_awaiter<detail::held<A>> with_deadline(time_point when, A&& a) {
  return detail::timeout_awaiter<detail::held<A>>(detail::hold(std::forward<A>(a)), detail::deadline_scope(when));
}

/// Awaits `a` for at most `length`; gives optional<T>, bool for void, an optional_reference for a reference: empty when
/// the time was over. errors: what `a` throws. cancel: goes through to `a`.
template <class A>
detail::move_on_awaiter<detail::held<A>> move_on_after(any_duration length, A&& a) {
  return detail::move_on_awaiter<detail::held<A>>(detail::hold(std::forward<A>(a)), detail::deadline_scope(length));
}

}  // namespace ringlet
