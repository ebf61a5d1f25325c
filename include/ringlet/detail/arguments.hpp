// L3 scopes: what is handed to a spawned task, and how it is kept for it; knows only types.
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringlet {

template <class T>
class borrowed;

namespace detail {

template <class T>
T&& unwrap(borrowed<T>& value);

}  // namespace detail

/// A reference, view or pointer handed to a spawned task, whose target the caller promises to keep alive.
template <class T>
class borrowed {
 public:
  explicit borrowed(T value) : value_(std::move(value)) {}
  T get() const { return value_; }

 private:
  template <class U>
  friend U&& detail::unwrap(borrowed<U>& value);
  T value_;
};

/// A task's name in dumps: spawn(name("conn 7"), f, args...).
class name {
 public:
  explicit name(std::string text) noexcept : text_(std::move(text)) {}
  const char* c_str() const noexcept { return text_.c_str(); }

 private:
  std::string text_;
};

namespace detail {

template <class T>
inline constexpr bool is_view =
    std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>> && !std::is_member_pointer_v<T>;
template <class C, class Traits>
inline constexpr bool is_view<std::basic_string_view<C, Traits>> = true;
template <class T, std::size_t N>
inline constexpr bool is_view<std::span<T, N>> = true;

/// A string literal lives for ever, so it may be handed over although it decays to a pointer.
template <class T>
inline constexpr bool is_literal = false;
template <class C, std::size_t N>
inline constexpr bool is_literal<const C (&)[N]> = std::is_same_v<C, char>;

/// What may be copied into a child task without leaving a reference behind.
template <class T>
inline constexpr bool safe_to_spawn = is_literal<T> || !is_view<std::decay_t<T>>;

template <class T>
T&& unwrap(T& value) {
  return std::move(value);
}
template <class T>
T&& unwrap(borrowed<T>& value) {
  return std::forward<T>(value.value_);
}

template <class T>
using unwrapped = decltype(unwrap(std::declval<T&>()));

/// The parameters of a function, or of a class's only operator(); void where they cannot be known.
template <class... P>
struct parameter_list {};
template <class R, class... P>
parameter_list<P...> parameters_of(R (*)(P...));
template <class C, class R, class... P>
parameter_list<P...> parameters_of(R (C::*)(P...));
template <class C, class R, class... P>
parameter_list<P...> parameters_of(R (C::*)(P...) const);
template <class C, class R, class... P>
parameter_list<P...> parameters_of(R (C::*)(P...) &);
template <class C, class R, class... P>
parameter_list<P...> parameters_of(R (C::*)(P...) const&);

/// A member function is given the object first.
template <class C, class... P>
parameter_list<C, P...> with_object(parameter_list<P...>);
template <class C, class F>
auto parameters_with_object(F C::* f) -> decltype(with_object<C>(parameters_of(f)));

template <class F>
struct parameters {
  using type = void;
};
template <class F>
  requires requires(F f) { parameters_with_object(f); }
struct parameters<F> {
  using type = decltype(parameters_with_object(std::declval<F>()));
};
template <class F>
  requires std::is_function_v<std::remove_pointer_t<F>> && requires(F f) { parameters_of(f); }
struct parameters<F> {
  using type = decltype(parameters_of(std::declval<F>()));
};
template <class F>
  requires requires { parameters_of(&F::operator()); }
struct parameters<F> {
  using type = decltype(parameters_of(&F::operator()));
};

/// As std::ref() and std::cref() do.
template <class A, class T>
concept converts_to_reference = requires(A&& a) { std::forward<A>(a).operator T&(); } ||
                                requires(A&& a) { std::forward<A>(a).operator const T&(); };

/// A parameter P is a reference that an argument A only fits after a conversion, and so would refer to a temporary.
/// Why && in the end: what converts to a reference to something derived gives no rvalue either.
template <class P, class A>
inline constexpr bool refers_to_temporary =
    std::is_reference_v<P> && !std::is_convertible_v<std::remove_reference_t<A>*, std::remove_reference_t<P>*> &&
    !converts_to_reference<A, std::remove_cvref_t<P>> && std::is_convertible_v<A, const std::remove_cvref_t<P>&&>;

/// An argument, and what a parameter by reference makes of it. Why both: the latter may be a view of the first.
template <class A, class Converted>
class converted {
 public:
  template <class Given>
  explicit converted(Given&& given) : given_(std::forward<Given>(given)), converted_(convert(unwrap(given_))) {}
  converted(const converted&) = delete;
  converted& operator=(const converted&) = delete;

  Converted&& take() noexcept { return std::move(converted_); }

 private:
  static Converted convert(unwrapped<A> given) { return std::forward<unwrapped<A>>(given); }

  A given_;
  Converted converted_;
};

template <class A, class Converted>
Converted&& unwrap(converted<A, Converted>& kept) {
  return kept.take();
}

/// What an argument is kept as. Why not always as what it is: a coroutine runs when the call is long over, and what was
/// converted for a parameter by reference would be gone.
template <class P, class A>
using kept_as = std::conditional_t<refers_to_temporary<P, unwrapped<A>>, converted<A, std::remove_cvref_t<P>>, A>;

/// What each of Args is kept as for these parameters, of which there may be more; Kept: what is known of it already.
template <class Kept, class Parameters, class... Args>
struct keep_each;
template <class... K, class Parameters>
struct keep_each<parameter_list<K...>, Parameters> {
  using type = parameter_list<K...>;
};
template <class... K, class P, class... Rest, class A, class... Args>
struct keep_each<parameter_list<K...>, parameter_list<P, Rest...>, A, Args...>
    : keep_each<parameter_list<K..., kept_as<P, A>>, parameter_list<Rest...>, Args...> {};
template <class... K, class Unknown, class A, class... Args>
struct keep_each<parameter_list<K...>, Unknown, A, Args...> : keep_each<parameter_list<K..., A>, Unknown, Args...> {};

}  // namespace detail
}  // namespace ringlet
