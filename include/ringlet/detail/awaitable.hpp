// L1 coroutine types: what can be awaited, what it gives, and what ringlet asks of it; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/config.hpp>
#include <ringlet/detail/execution.hpp>
#include <ringlet/detail/outcome.hpp>

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace ringlet::detail {

template <class A>
concept has_member_co_await = requires(A&& a) { std::forward<A>(a).operator co_await(); };
template <class A>
concept has_free_co_await = requires(A&& a) { operator co_await(std::forward<A>(a)); };
template <class A>
concept is_awaiter = requires(A& a) {
  { a.await_ready() } -> std::convertible_to<bool>;
  a.await_resume();
};

template <class A>
decltype(auto) get_awaiter(A&& a) {
  if constexpr (has_member_co_await<A>) {
    return std::forward<A>(a).operator co_await();
  } else if constexpr (has_free_co_await<A>) {
    return operator co_await(std::forward<A>(a));
  } else {
    return std::forward<A>(a);
  }
}

template <class A>
concept awaitable = has_member_co_await<A> || has_free_co_await<A> || is_awaiter<std::remove_reference_t<A>>;

/// What `co_await a` gives, for an `a` of type A.
template <class A>
using await_result = decltype(get_awaiter(std::declval<A>()).await_resume());

/// What a function that takes an awaitable holds of it: a copy, or what it was moved to; of a named one that has none,
/// as a future, its awaiter.
template <class A>
decltype(auto) hold(A&& a) {
  constexpr bool named = std::is_lvalue_reference_v<A> && !std::copy_constructible<std::remove_cvref_t<A>>;
  if constexpr (named && (has_member_co_await<A> || has_free_co_await<A>)) {
    return get_awaiter(a);
  } else {
    static_assert(!named, "what is awaited only once is handed over: std::move(x)");
    return std::forward<A>(a);
  }
}
template <class A>
using held = std::decay_t<decltype(hold(std::declval<A>()))>;

/// The same of a range: one whose elements cannot be copied must be handed over, unless it is only a view.
template <class Range>
std::remove_cvref_t<Range> hold_range(Range&& range) {
  static_assert(!std::is_lvalue_reference_v<Range> || std::is_trivially_copyable_v<std::remove_cvref_t<Range>> ||
                    std::copy_constructible<std::remove_cvref_t<decltype(*range.begin())>>,
                "futures, tasks, and what else is only moved are handed over: std::move(range)");
  return std::forward<Range>(range);
}

/// An awaiter of ringlet's own says after its wait whether await_resume() would throw `cancelled`, so that no exception
/// is needed to know. Called before await_resume(); when it is true, await_resume() need not be called any more.
template <class Awaiter>
concept reports_cancel = requires(Awaiter& a) {
  { a.await_cancelled() } noexcept -> std::same_as<bool>;
};

/// Holds an awaitable by value, and the awaiter made of it once it is awaited.
template <class A>
class awaiter_holder {
 public:
  template <class B>
  explicit awaiter_holder(B&& awaitable) : awaitable_(std::forward<B>(awaitable)) {}

  auto& get() {
    if constexpr (is_awaiter<A>) {
      return awaitable_;
    } else {
      return awaiter_.get_from(awaitable_);
    }
  }

 private:
  struct no_awaiter {};

  /// Made on first use; what holds it moves only before that.
  template <class Awaiter>
  class lazy {
   public:
    lazy() noexcept {}
    lazy(lazy&& other) noexcept { RINGLET_CHECK(!other.made_, "an awaitable was moved while it was awaited"); }
    lazy& operator=(lazy&&) = delete;
    ~lazy() {
      if (made_) awaiter_.~Awaiter();
    }
    Awaiter& get_from(A& awaitable) {
      if (!made_) ::new (static_cast<void*>(&awaiter_)) Awaiter(get_awaiter(std::move(awaitable)));
      made_ = true;
      return awaiter_;
    }

   private:
    union {
      Awaiter awaiter_;
    };
    bool made_ = false;
  };

  template <class B>
  struct slot {
    using type = lazy<std::remove_cvref_t<decltype(get_awaiter(std::declval<B>()))>>;
  };
  template <class B>
    requires is_awaiter<B>
  struct slot<B> {
    using type = no_awaiter;
  };

  A awaitable_;
  [[no_unique_address]] typename slot<A>::type awaiter_;
};

/// An awaiter whose await_suspend runs no coroutine, and which goes on at once only by transfer().
template <class Awaiter>
concept own_awaiter = reports_cancel<Awaiter> || requires { requires Awaiter::is_own; };

/// While it lives no step begins. Why: an await_suspend of another library may run coroutines. One of them that
/// suspends ends the step, but who runs it goes on, and still in the name of its own task.
class no_next_step {
 public:
  no_next_step() noexcept : before_(std::exchange(current.lowest_step, execution::nowhere)) {}
  no_next_step(const no_next_step&) = delete;
  no_next_step& operator=(const no_next_step&) = delete;
  ~no_next_step() { current.lowest_step = before_; }

 private:
  std::uintptr_t before_;
};

template <class Awaiter, class Promise>
decltype(auto) call_await_suspend(Awaiter& awaiter, std::coroutine_handle<Promise> here) {
  if constexpr (own_awaiter<Awaiter>) {
    return awaiter.await_suspend(here);
  } else {
    const no_next_step guard;
    return awaiter.await_suspend(here);
  }
}

/// The awaiter protocol allows three return types of await_suspend; this makes one of them. Who does not say where to
/// go on has suspended, and so ended the step; to go on at once is a transfer like any other.
template <class Awaiter, class Promise>
std::coroutine_handle<> suspend_on(Awaiter& awaiter, std::coroutine_handle<Promise> here) {
  using result = decltype(awaiter.await_suspend(here));
  if constexpr (std::is_void_v<result>) {
    call_await_suspend(awaiter, here);
    return next_step();
  } else if constexpr (std::is_same_v<result, bool>) {
    return call_await_suspend(awaiter, here) ? next_step() : transfer(here);
  } else if constexpr (own_awaiter<Awaiter>) {
    return awaiter.await_suspend(here);
  } else {
    const std::coroutine_handle<> next = call_await_suspend(awaiter, here);
    return next == here ? transfer(here) : next;
  }
}

/// Resumes `awaiter` and stores how its wait ended; no exception is thrown for a cancelled wait of ringlet's own.
template <class T, class Awaiter>
void resume_into(outcome<T>& to, Awaiter& awaiter) noexcept {
  if constexpr (reports_cancel<Awaiter>) {
    if (awaiter.await_cancelled()) return to.set_cancelled();
  }
  call_into(to, [&awaiter]() -> T { return awaiter.await_resume(); });
}

/// `co_await as_outcome(a)` gives how `a` ended, and throws nothing.
template <class A>
class outcome_awaiter {
 public:
  using value_type = await_result<A>;
  static constexpr bool is_own = true;

  template <class B>
  explicit outcome_awaiter(B&& awaitable) : inner_(std::forward<B>(awaitable)) {}

  bool await_ready() noexcept {
    try {
      return inner_.get().await_ready();
    } catch (...) {
      failed_early_ = std::current_exception();
      return true;
    }
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    try {
      return suspend_on(inner_.get(), here);
    } catch (...) {
      failed_early_ = std::current_exception();
      return transfer(here);
    }
  }
  outcome<value_type> await_resume() noexcept {
    outcome<value_type> result;
    if (failed_early_) [[unlikely]] {
      result.set_error(std::move(failed_early_));
    } else {
      resume_into(result, inner_.get());
    }
    return result;
  }

 private:
  awaiter_holder<A> inner_;
  std::exception_ptr failed_early_;  // null: the wait has begun, and its end says how it went
};

template <class A>
outcome_awaiter<std::decay_t<A>> as_outcome(A&& awaitable) {
  return outcome_awaiter<std::decay_t<A>>(std::forward<A>(awaitable));
}

/// Work may be given as an awaitable, or as a function that makes one.
template <class W>
concept work = awaitable<W> || requires(W& w) { requires awaitable<decltype(w())>; };

template <work W>
auto begin_work(W& w) {
  if constexpr (awaitable<W>) {
    return std::move(w);
  } else {
    return w();
  }
}

template <work W>
using work_result = await_result<decltype(begin_work(std::declval<W&>()))>;

}  // namespace ringlet::detail

namespace ringlet {

/// Marks a callable as safe to hand over as a temporary on g++ 12: owned(std::move(named)). Not for a closure written
/// in place: g++ 12 destroys that one twice inside owned(), too.
template <class F>
class owned {
 public:
  explicit owned(F function) : function_(std::move(function)) {}
  template <class... Args>
    requires std::invocable<F&, Args...>
  decltype(auto) operator()(Args&&... args) {
    return function_(std::forward<Args>(args)...);
  }

 private:
  F function_;
};

}  // namespace ringlet

namespace ringlet::detail {

template <class F>
inline constexpr bool is_owned = false;
template <class F>
inline constexpr bool is_owned<owned<F>> = true;

/// False for types that g++ 12 destroys twice when they are temporaries of a co_await or co_yield expression.
template <class F>
inline constexpr bool safe_in_await =
    !RINGLET_CLOSURE_BUG || std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>> ||
    awaitable<F> || is_owned<std::remove_cvref_t<F>>;

/// The same for an argument: of an aggregate that needs a destructor.
template <class T>
inline constexpr bool safe_argument =
    safe_in_await<T> || !(std::is_aggregate_v<std::remove_cvref_t<T>> && std::is_class_v<std::remove_cvref_t<T>>);

}  // namespace ringlet::detail

#define RINGLET_UNSAFE_ARGUMENT                                                                            \
  "g++ 12 destroys this aggregate twice when it is a temporary of a co_await or co_yield: name it first. " \
  "See docs/lifetimes.md."

#define RINGLET_REQUIRE_SAFE_CLOSURE(F)                                                                   \
  static_assert(::ringlet::detail::safe_in_await<F>,                                                      \
                "g++ 12 destroys this closure twice when it is a temporary of a co_await expression: "    \
                "name it first (auto body = [..]{..}; co_await f(body);), capture by reference, or wrap " \
                "a moved named one in ringlet::owned(..). See docs/lifetimes.md.")
