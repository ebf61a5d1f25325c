// Test kit: what a task throws, as a value. Why these are functions: with g++ 12 a co_await inside CHECK(...) is
// evaluated twice, for the macro repeats its expression in a condition that is always false, behind an &&.
#pragma once

#include "catch.hpp"

#include <ringlet/task.hpp>

#include <optional>
#include <system_error>

namespace kit {

/// What `body`, () -> awaitable, throws as an Error; empty when it does not.
template <class Error, class Body>
ringlet::task<std::optional<Error>> thrown_by(Body body) {
  try {
    auto work = body();
    co_await std::move(work);
  } catch (const Error& e) {
    co_return e;
  }
  co_return std::nullopt;
}

/// The errno value with which `body`, () -> awaitable, fails; 0 when it does not.
template <class Body>
ringlet::task<int> error_of(Body body) {
  const auto error = co_await thrown_by<std::system_error>(std::move(body));
  co_return error ? error->code().value() : 0;
}

/// `body`, () -> awaitable, must fail with this errno value.
template <class Body>
ringlet::task<> expect_error(int expected, Body body) {
  const int error = co_await error_of(std::move(body));
  CHECK(error == expected);
}

}  // namespace kit
