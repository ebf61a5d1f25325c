// L3 scopes: errors of the operating system as values; knows only the awaitable contract.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/error.hpp>
#include <ringlet/result.hpp>

namespace ringlet {

namespace detail {

/// An operation of ringlet's own says after its wait what error await_resume() would throw.
template <class Awaiter>
concept reports_error = requires(const Awaiter& a) {
  { a.await_error() } noexcept -> std::same_as<std::error_code>;
};

template <class A>
class [[nodiscard]] result_awaiter {
 public:
  using value_type = await_result<A>;

  template <class B>
  explicit result_awaiter(B&& awaitable) : inner_(std::forward<B>(awaitable)) {}

  bool await_ready() {
    try {
      return inner_.get().await_ready();
    } catch (const std::system_error& e) {
      early_error_ = e.code();
      return true;
    }
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) {
    try {
      return suspend_on(inner_.get(), here);
    } catch (const std::system_error& e) {
      early_error_ = e.code();
      return transfer(here);
    }
  }

  bool await_cancelled() noexcept {
    if constexpr (reports_cancel<std::remove_reference_t<decltype(inner_.get())>>) {
      return !early_error_ && inner_.get().await_cancelled();
    } else {
      return false;
    }
  }

  result<value_type> await_resume() {
    if (early_error_) return result<value_type>(early_error_);
    auto& inner = inner_.get();
    if constexpr (reports_error<std::remove_reference_t<decltype(inner)>>) {
      if (const std::error_code error = inner.await_error()) return result<value_type>(error);
    }
    try {
      if constexpr (std::is_void_v<value_type>) {
        inner.await_resume();
        return result<value_type>(nothing());
      } else if constexpr (std::is_lvalue_reference_v<value_type>) {
        return result<value_type>(&inner.await_resume());
      } else {
        return result<value_type>(inner.await_resume());
      }
    } catch (const std::system_error& e) {
      return result<value_type>(e.code());
    } catch (const timed_out&) {
      return result<value_type>(std::make_error_code(std::errc::timed_out));
    }
  }

 private:
  awaiter_holder<A> inner_;
  std::error_code early_error_;  // of an await that failed before it could wait
};

}  // namespace detail

/// Awaits `a` and gives result<T>: its value, or the code of the std::system_error or timed_out that it failed with.
/// An operation's error gets there without an exception. errors: all other exceptions. cancel: as `a`.
template <class A>
detail::result_awaiter<detail::held<A>> as_result(A&& a) {
  return detail::result_awaiter<detail::held<A>>(detail::hold(std::forward<A>(a)));
}

}  // namespace ringlet
