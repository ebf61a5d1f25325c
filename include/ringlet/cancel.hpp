// L1 coroutine types: cancel scopes, shields and clean-up that may await; knows no clock and no scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/optional_reference.hpp>
#include <ringlet/task.hpp>

namespace ringlet {

namespace detail {

template <class T>
struct maybe_of : optional_of<T> {};
template <>
struct maybe_of<void> {
  using type = bool;
};

/// What a scope gives that may have been cancelled: an optional, or bool where there is no value.
template <class T>
using maybe = typename maybe_of<T>::type;

template <class T>
maybe<T> to_maybe(outcome<T>& result) {
  if constexpr (std::is_void_v<T>) {
    result.take();
    return true;
  } else {
    return maybe<T>(result.take());
  }
}

/// Awaits inside a scope of its own. Derived classes say what the end of the scope means.
/// Invariant: scopes that are nested in one expression are left from the innermost outwards, however the await ends.
template <class A, class Scope>
class scoped_awaiter {
 public:
  using value_type = await_result<A>;

  bool await_ready() {
    scope_.enter();
    return or_leave([this] { return inner_.get().await_ready(); });
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) {
    return or_leave([this, here] { return suspend_on(inner_.get(), here); });
  }

 protected:
  template <class B>
  scoped_awaiter(B&& awaitable, const Scope& s) : inner_(std::forward<B>(awaitable)), scope_(s) {}
  scoped_awaiter(scoped_awaiter&&) = default;
  scoped_awaiter& operator=(scoped_awaiter&&) = delete;
  ~scoped_awaiter() = default;

  awaiter_holder<A> inner_;
  Scope scope_;

 private:
  /// Why: an await that throws before it has begun to wait is not resumed any more.
  template <class Step>
  auto or_leave(Step step) {
    try {
      return step();
    } catch (...) {
      scope_.leave();
      throw;
    }
  }
};

template <class A>
class [[nodiscard]] shield_awaiter : public scoped_awaiter<A, scope> {
 public:
  template <class B>
  explicit shield_awaiter(B&& awaitable)
      : scoped_awaiter<A, scope>(std::forward<B>(awaitable), scope(scope::kind::shield)) {}

  decltype(auto) await_resume() {
    const leave_at_end leave(this->scope_);
    return this->inner_.get().await_resume();
  }

 private:
  class leave_at_end {
   public:
    explicit leave_at_end(scope& s) noexcept : scope_(s) {}
    leave_at_end(const leave_at_end&) = delete;
    leave_at_end& operator=(const leave_at_end&) = delete;
    ~leave_at_end() { scope_.leave(); }

   private:
    scope& scope_;
  };
};

class [[nodiscard]] checkpoint_awaiter {
 public:
  bool await_ready() noexcept {
    cancelled_ = cancel_requested();
    return cancelled_ || within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) const noexcept {
    return preempt(here);
  }
  bool await_cancelled() noexcept { return cancelled_; }
  void await_resume() const {
    if (cancelled_) throw cancelled{};
  }

 private:
  bool cancelled_ = false;
};

template <work W>
task<maybe<work_result<W>>> run_in_scope(scope& where, W body) {
  using value = work_result<W>;
  where.enter();
  outcome<value> result;
  try {
    auto work = begin_work(body);
    result = co_await as_outcome(std::move(work));
  } catch (...) {
    set_current_exception(result);
  }
  const bool caught = result.was_cancelled() && where.catches();
  where.leave();
  if (caught) co_return maybe<value>();
  co_return to_maybe(result);
}

template <work Body, work Cleanup>
task<work_result<Body>> run_then_clean_up(Body body, Cleanup cleanup) {
  outcome<work_result<Body>> result;
  try {
    auto work = begin_work(body);
    result = co_await as_outcome(std::move(work));
  } catch (...) {
    set_current_exception(result);
  }
  auto work = begin_work(cleanup);
  co_await shield_awaiter<decltype(work)>(std::move(work));
  co_return result.take();
}

}  // namespace detail

/// A scope that can be cancelled from elsewhere on the loop. Once cancelled it stays so.
/// threads: the loop's. lifetime: must outlive its run().
class cancel_scope {
 public:
  cancel_scope() = default;
  cancel_scope(const cancel_scope&) = delete;
  cancel_scope& operator=(const cancel_scope&) = delete;

  /// Makes every await inside the scope throw `cancelled`, now and from now on. Before run(): it starts cancelled.
  void cancel() noexcept { scope_.cancel(); }
  /// True once cancel() was called on this very scope; not when only a scope around it is cancelled.
  bool cancel_requested() const noexcept { return scope_.requested(); }

  /// `co_await scope.run(f)` awaits f(), or the awaitable f, inside the scope: optional<R>, bool for void, an
  /// optional_reference for a reference; empty when cancel() ended it. errors: what f() throws. cancel: from outside
  /// goes through.
  template <class F>
    requires detail::work<std::decay_t<F>>
  auto run(F&& body) {
    RINGLET_REQUIRE_SAFE_CLOSURE(F);
    return detail::run_in_scope<std::decay_t<F>>(scope_, std::forward<F>(body));
  }

 private:
  detail::scope scope_;
};

/// Awaits `a` out of reach of cancel requests from outside. errors: what `a` throws. cancel: waits for the next await
/// after it.
template <class A>
detail::shield_awaiter<detail::held<A>> shield(A&& a) {
  return detail::shield_awaiter<detail::held<A>>(detail::hold(std::forward<A>(a)));
}

/// Throws `cancelled` if the task is cancelled. suspends: only when the task has had its share, to let others run.
/// cancel: safe.
inline detail::checkpoint_awaiter checkpoint() noexcept {
  return {};
}

/// Awaits `body`, then, however that ended, awaits `cleanup` shielded; gives what body gave. Either is an awaitable or
/// a function that makes one. errors: body's; an error of cleanup's replaces it. cancel: goes through to body; cleanup
/// runs to its end.
template <class Body, class Cleanup>
  requires(detail::work<std::decay_t<Body>> && detail::work<std::decay_t<Cleanup>>)
auto finally(Body&& body, Cleanup&& cleanup) {
  RINGLET_REQUIRE_SAFE_CLOSURE(Body);
  RINGLET_REQUIRE_SAFE_CLOSURE(Cleanup);
  return detail::run_then_clean_up<std::decay_t<Body>, std::decay_t<Cleanup>>(std::forward<Body>(body),
                                                                              std::forward<Cleanup>(cleanup));
}

}  // namespace ringlet
