// L0 base: how a piece of work ended: with a value, an error or cancelled; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/check.hpp>

#include <concepts>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace ringlet {

/// Thrown at the awaits of a cancelled task, to unwind it. Not a std::exception, so that
/// `catch (const std::exception&)` lets it pass. Catch it only to clean up, and throw it on.
struct cancelled {};

/// Stands for the result of a void task where a value is needed: in a tuple or an optional.
struct nothing {
  friend constexpr bool operator==(nothing, nothing) noexcept { return true; }
};

namespace detail {

template <class T>
struct storage_of {
  using type = T;
};
template <>
struct storage_of<void> {
  using type = nothing;
};
template <class T>
struct storage_of<T&> {
  using type = T*;
};

/// What an object must hold to give a T later: T itself, a pointer for a reference, nothing for void.
template <class T>
using stored = typename storage_of<T>::type;

/// Why not in line: g++ 12 would suspect, in users' programs, an error that is destroyed without ever having been made.
void destroy_error(std::exception_ptr& error) noexcept;

template <class T>
class outcome {
 public:
  outcome() noexcept {}

  outcome(outcome&& other) noexcept(std::is_nothrow_move_constructible_v<stored<T>>) { take_over(other); }

  outcome& operator=(outcome&& other) noexcept(std::is_nothrow_move_constructible_v<stored<T>>) {
    if (this != &other) {
      reset();
      take_over(other);
    }
    return *this;
  }

  ~outcome() { destroy(); }

  template <class... Args>
  void set_value(Args&&... args) {
    reset();
    ::new (static_cast<void*>(&value_)) stored<T>(std::forward<Args>(args)...);
    state_ = state::value;
  }

  /// The same, when it holds no error.
  template <class... Args>
  void set_result(Args&&... args) {
    if constexpr (!std::is_trivially_destructible_v<stored<T>>) reset();
    ::new (static_cast<void*>(&value_)) stored<T>(std::forward<Args>(args)...);
    state_ = state::value;
  }

  void set_error(std::exception_ptr error) noexcept {
    reset();
    ::new (static_cast<void*>(&error_)) std::exception_ptr(std::move(error));
    state_ = state::error;
  }

  void set_cancelled() noexcept {
    reset();
    state_ = state::cancelled;
  }

  bool has_value() const noexcept { return state_ == state::value; }
  bool has_error() const noexcept { return state_ == state::error; }
  bool was_cancelled() const noexcept { return state_ == state::cancelled; }

  const std::exception_ptr& error() const noexcept { return error_; }
  stored<T>& value() noexcept { return value_; }

  /// Moves the value out, or throws the error or `cancelled`.
  T take() {
    if (state_ != state::value) [[unlikely]]
      throw_failure();
    if constexpr (std::is_void_v<T>) {
      return;
    } else if constexpr (std::is_lvalue_reference_v<T>) {
      return *value_;
    } else {
      return std::move(value_);
    }
  }

 private:
  enum class state : unsigned char { none, value, error, cancelled };

  [[noreturn]] void throw_failure() {
    RINGLET_CHECK(state_ != state::none, "a result was asked for before there was one");
    if (state_ == state::cancelled) throw cancelled{};
    std::rethrow_exception(error_);
  }

  void reset() noexcept {
    destroy();
    state_ = state::none;
  }

  void destroy() noexcept {
    if (state_ == state::value) value_.~stored<T>();
    if (state_ == state::error) [[unlikely]]
      destroy_error(error_);
  }

  void take_over(outcome& other) {
    if (other.state_ == state::value) ::new (static_cast<void*>(&value_)) stored<T>(std::move(other.value_));
    if (other.state_ == state::error) [[unlikely]]
      ::new (static_cast<void*>(&error_)) std::exception_ptr(std::move(other.error_));
    state_ = other.state_;
    other.reset();
  }

  union {
    stored<T> value_;           // live while state_ is value
    std::exception_ptr error_;  // live while state_ is error
  };
  state state_ = state::none;
};

/// As take(), but gives an object for every T.
template <class T>
stored<T> take_stored(outcome<T>& result) {
  if constexpr (std::is_object_v<T>) {
    return result.take();
  } else {
    result.take();
    return result.value();
  }
}

/// True while `cancelled` itself is being handled. Why: cheaper than to throw it once more to see its type.
bool handling_cancelled() noexcept;

/// Stores what the exception now being handled means: an error, or `cancelled`.
template <class T>
void set_current_exception(outcome<T>& to) noexcept {
  if (handling_cancelled()) {
    to.set_cancelled();
  } else {
    to.set_error(std::current_exception());
  }
}

/// Stores how the call ends, whose result is a T. Why inlined: else g++ 12 suspects, in users' programs, an error that
/// is destroyed without ever having been made.
template <class T, class Call>
[[gnu::always_inline]] inline void call_into(outcome<T>& to, Call&& call) noexcept {
  try {
    if constexpr (std::is_void_v<T>) {
      call();
      to.set_value();
    } else if constexpr (std::is_lvalue_reference_v<T>) {
      to.set_value(&call());
    } else {
      to.set_value(call());
    }
  } catch (...) {
    set_current_exception(to);
  }
}

/// The part of a promise that takes what the coroutine ends with.
template <class T>
class ends_with {
 public:
  template <class U = T>
    requires std::convertible_to<U&&, T>
  void return_value(U&& value) {
    if constexpr (std::is_lvalue_reference_v<T>) {
      result_.set_result(&static_cast<T>(value));
    } else {
      result_.set_result(std::forward<U>(value));
    }
  }
  void unhandled_exception() noexcept { set_current_exception(result_); }
  outcome<T>& result() noexcept { return result_; }

 private:
  outcome<T> result_;
};

template <>
class ends_with<void> {
 public:
  void return_void() noexcept { result_.set_result(); }
  void unhandled_exception() noexcept { set_current_exception(result_); }
  outcome<void>& result() noexcept { return result_; }

 private:
  outcome<void> result_;
};

}  // namespace detail
}  // namespace ringlet
