// L0 base: result<T>, a value or the error code of the operating system; knows only std::error_code.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/outcome.hpp>

#include <optional>
#include <system_error>

namespace ringlet {

/// A value, or why there is none. For callers to whom an error is nothing out of the ordinary.
template <class T>
class [[nodiscard]] result {
 public:
  /// T; a pointer where T is a reference, `nothing` where it is void.
  using value_type = detail::stored<T>;

  /// A value.
  explicit result(value_type value) : value_(std::move(value)) {}
  /// An error. error: not the empty code.
  explicit result(std::error_code error) noexcept : error_(error) {}

  /// True where there is a value.
  explicit operator bool() const noexcept { return value_.has_value(); }
  /// The same, by name.
  bool has_value() const noexcept { return value_.has_value(); }

  /// The error; empty where there is a value.
  std::error_code error() const noexcept { return error_; }

  /// The value. errors: std::system_error where there is none.
  value_type& value() & {
    require();
    return *value_;
  }
  const value_type& value() const& {
    require();
    return *value_;
  }
  value_type&& value() && {
    require();
    return std::move(*value_);
  }

  /// The value, unchecked: there must be one.
  value_type& operator*() noexcept { return *value_; }
  const value_type& operator*() const noexcept { return *value_; }
  /// A member of the value, unchecked: there must be one.
  value_type* operator->() noexcept { return &*value_; }

 private:
  void require() const {
    if (!value_) throw std::system_error(error_);
  }

  std::optional<value_type> value_;  // empty: error_ says why
  std::error_code error_;
};

}  // namespace ringlet
