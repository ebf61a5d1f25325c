// L0 base: RINGLET_CHECK, the guard of contracts that stays on in release builds; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace ringlet::detail {

/// One value shown in the message of a failed check.
class check_value {
 public:
  check_value(int value) noexcept : number_(value) {}
  check_value(long value) noexcept : number_(value) {}
  check_value(unsigned value) noexcept : number_(static_cast<long long>(value)) {}
  check_value(std::size_t value) noexcept : number_(static_cast<long long>(value)) {}
  check_value(const char* text) noexcept : text_(text) {}

  const char* text() const noexcept { return text_; }
  long long number() const noexcept { return number_; }

 private:
  const char* text_ = nullptr;  // null: a number
  long long number_ = 0;
};

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const char* message,
                               const check_value* values, std::size_t count) noexcept;

template <class... Values>
[[noreturn]] void check_failed_with(const char* file, int line, const char* condition, const char* message,
                                    Values... values) noexcept {
  const check_value list[] = {check_value(values)..., check_value("")};
  check_failed(file, line, condition, message, list, sizeof...(values));
}

}  // namespace ringlet::detail

/// Aborts when a contract is broken, in release builds too. Each {} of the message takes one value.
#define RINGLET_CHECK(condition, ...)                  \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::ringlet::detail::check_failed_with(__FILE__, __LINE__, #condition, __VA_ARGS__))
