// Tests of the forms that docs/lifetimes.md calls safe with every compiler.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <functional>
#include <memory>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// Counts how many of it there are; a compiler that destroys one twice makes it less than none.
class counted_value {
 public:
  explicit counted_value(int& alive) noexcept : alive_(&alive) { ++*alive_; }
  counted_value(const counted_value& other) noexcept : alive_(other.alive_) { ++*alive_; }
  counted_value& operator=(const counted_value&) = delete;
  ~counted_value() { --*alive_; }

 private:
  int* alive_;
};

task<bool> no() {
  co_return false;
}

task<bool> count(int& calls) {
  ++calls;
  co_return true;
}

}  // namespace

TEST_CASE("closures: a named one, a moved one that is owned, and two statements destroy what they hold once") {
  int alive = 0;
  run([&]() -> task<> {
    const auto named = [value = counted_value(alive)] { return 1; };
    co_await offload(named);
    auto moved = [value = counted_value(alive)] { return 1; };
    co_await offload(owned(std::move(moved)));
    auto first = [value = counted_value(alive)] { return 1; };
    auto operation = offload(owned(std::move(first)));
    co_await operation;
  });
  CHECK(alive == 0);
}

TEST_CASE("closures: one that can only be moved runs when it is owned") {
  int result = 0;
  run([&]() -> task<> {
    auto body = [value = std::make_unique<int>(7)] { return *value; };
    result = co_await offload(owned(std::move(body)));
  });
  CHECK(result == 7);
}

TEST_CASE("closures: arguments by value, and options with setters, are destroyed once") {
  int alive = 0;
  run([&]() -> task<> {
    co_await offload([](const counted_value&) {}, counted_value(alive));
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("child"), [](counted_value) -> task<> { co_return; }, counted_value(alive));
      co_return;
    });
  });
  CHECK(alive == 0);
}

TEST_CASE("short circuit: an await on the right of && and || is left out in if and in initialisers") {
  int calls = 0;
  run([&]() -> task<> {
    if (co_await no() && co_await count(calls)) co_return;
    const bool both = co_await no() && co_await count(calls);
    const bool either = !co_await no() || co_await count(calls);
    CHECK(!both);
    CHECK(either);
  });
  CHECK(calls == 0);
}

TEST_CASE("short circuit: a loop that awaits in its body instead of its condition evaluates what it should") {
  int calls = 0;
  run([&]() -> task<> {
    for (int turn = 0; turn < 3; ++turn) {
      const bool goes_on = co_await no();
      if (!goes_on) break;
      co_await count(calls);
    }
  });
  CHECK(calls == 0);
}
