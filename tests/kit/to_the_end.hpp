// Test kit: runs a test's body, and fails when it does not come to its end.
#pragma once

#include "catch.hpp"

#include <ringlet/run.hpp>

#include <utility>

namespace kit {

/// body: () -> ringlet::task<>. Why: run() of a body that ends in `cancelled`, as nobody asked it to, looks like one of
/// a body that has checked everything.
template <class Body>
void run_to_the_end(const ringlet::options& how, Body body) {
  bool at_end = false;
  ringlet::run(how, [&]() -> ringlet::task<> {
    auto work = body();
    co_await std::move(work);
    at_end = true;
  });
  CHECK(at_end);
}

}  // namespace kit
