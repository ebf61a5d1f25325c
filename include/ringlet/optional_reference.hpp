// L0 base: optional_reference, which stands for std::optional where the value is a reference; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

namespace ringlet {

/// A reference or nothing: what is given in place of a std::optional where the value is a reference. Used like one.
template <class T>
class optional_reference {
 public:
  optional_reference() noexcept = default;
  /// A reference. lifetime: `target` outlives it.
  explicit optional_reference(T& target) noexcept : target_(std::addressof(target)) {}

  /// True where there is a reference.
  bool has_value() const noexcept { return target_ != nullptr; }
  /// The same.
  explicit operator bool() const noexcept { return has_value(); }
  /// The target, unchecked: there must be one.
  T& operator*() const noexcept { return *target_; }
  /// A member of the target, unchecked: there must be one.
  T* operator->() const noexcept { return target_; }
  /// True where there is none.
  friend bool operator==(optional_reference a, std::nullopt_t) noexcept { return !a.has_value(); }

 private:
  T* target_ = nullptr;  // null: nothing
};

namespace detail {

template <class T>
struct optional_of {
  using type = std::optional<T>;
};
template <class T>
struct optional_of<T&> {
  using type = optional_reference<T>;
};

/// A T or nothing, also where T is a reference.
template <class T>
using optional = typename optional_of<T>::type;

}  // namespace detail

}  // namespace ringlet
