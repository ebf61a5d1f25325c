// Test kit: tasks that a test runs beside those that it looks at.
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/sleep.hpp>

namespace kit {

/// Takes its turns until it is cancelled, and counts them.
inline ringlet::task<> count_turns(int& turns) {
  for (;;) {
    ++turns;
    co_await ringlet::yield_now();
  }
}

inline ringlet::task<int> give_after(ringlet::duration length, int value) {
  co_await ringlet::sleep_for(length);
  co_return value;
}

/// Sleeps until it is cancelled, and then takes 3 ms to leave.
inline ringlet::task<int> leave_slowly(int& left) {
  const auto clean = [&]() -> ringlet::task<> {
    co_await ringlet::sleep_for(std::chrono::milliseconds(3));
    ++left;
  };
  co_await ringlet::finally(ringlet::sleep_forever(), clean);
  co_return 0;
}

}  // namespace kit
