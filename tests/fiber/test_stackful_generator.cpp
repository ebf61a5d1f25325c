// Tests of ringlet/stackful_generator.hpp.
#include "kit/counted.hpp"
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>
#include <ringlet/stackful_generator.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

struct tree {
  int value;
  std::vector<tree> below;
};

void walk(const tree& t, yielder<int>& yield) {
  yield(t.value);
  for (const tree& child : t.below) walk(child, yield);
}

stackful_generator<int> values_of(const tree& t) {
  return stackful_generator<int>([&t](yielder<int>& yield) { walk(t, yield); });
}

const tree some_tree{1, {{2, {{3, {}}, {4, {}}}}, {5, {}}, {6, {{7, {}}}}}};

stackful_generator<int> count_to(int last) {
  return stackful_generator<int>([last](yielder<int>& yield) {
    for (int i = 1; i <= last; ++i) yield(i);
  });
}

}  // namespace

TEST_CASE("stackful_generator: values come from any depth, in order, outside of any loop") {
  std::vector<int> seen;
  for (const int value : values_of(some_tree)) seen.push_back(value);
  CHECK(seen == std::vector<int>{1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("stackful_generator: next() gives value after value, and then nothing, again and again") {
  auto numbers = count_to(2);
  CHECK_FALSE(numbers.done());
  CHECK(numbers.next() == 1);
  CHECK(numbers.next() == 2);
  CHECK_FALSE(numbers.done());
  CHECK_FALSE(numbers.next());
  CHECK(numbers.done());
  CHECK_FALSE(numbers.next());
  auto none = count_to(0);
  CHECK_FALSE(none.next());
}

TEST_CASE("stackful_generator: range-for goes on where next() was, and several generators take turns") {
  auto one = count_to(5);
  auto other = count_to(5);
  CHECK(one.next() == 1);
  std::string log;
  for (const int value : one) {
    log += std::to_string(value);
    if (const auto second = other.next()) log += "/" + std::to_string(*second) + " ";
  }
  CHECK(log == "2/1 3/2 4/3 5/4 ");
}

TEST_CASE("stackful_generator: values that only move are handed over whole") {
  stackful_generator<std::unique_ptr<int>> boxes([](yielder<std::unique_ptr<int>>& yield) {
    for (int i = 0; i < 3; ++i) yield(std::make_unique<int>(i));
  });
  int expected = 0;
  while (auto box = boxes.next()) CHECK(**box == expected++);
  CHECK(expected == 3);
}

TEST_CASE("stackful_generator: what the function throws comes out of the call that ran it, and ends it") {
  stackful_generator<int> fails([](yielder<int>& yield) {
    yield(1);
    throw std::runtime_error("on purpose");
  });
  CHECK(fails.next() == 1);
  CHECK_THROWS_AS(fails.next(), std::runtime_error);
  CHECK(fails.done());
  CHECK_FALSE(fails.next());
}

TEST_CASE("stackful_generator: one that is dropped halfway is unwound, also where the function yields meanwhile") {
  kit::tally tally;
  {
    stackful_generator<int> numbers([&tally](yielder<int>& yield) {
      const kit::balanced outer(tally);
      try {
        const kit::balanced inner(tally);
        yield(1);
      } catch (const cancelled&) {
        try {
          yield(2);
        } catch (const cancelled&) {
        }
        throw;
      }
    });
    CHECK(numbers.next() == 1);
    CHECK(tally.alive == 2);
  }
  CHECK(tally.alive == 0);
  const auto never_started = count_to(3);
}

TEST_CASE("stackful_generator: moved, it goes on where it was") {
  auto numbers = count_to(3);
  CHECK(numbers.next() == 1);
  stackful_generator<int> moved(std::move(numbers));
  CHECK(moved.next() == 2);
  auto other = count_to(9);
  CHECK(other.next() == 1);
  other = std::move(moved);
  CHECK(other.next() == 3);
  CHECK_FALSE(other.next());
}

TEST_CASE("stackful_generator: one that uses another one") {
  stackful_generator<int> squares([](yielder<int>& yield) {
    for (const int n : count_to(4)) yield(n * n);
  });
  std::vector<int> seen;
  for (const int value : squares) seen.push_back(value);
  CHECK(seen == std::vector<int>{1, 4, 9, 16});
}

TEST_CASE("stackful_generator: one is used by a fiber, and then by another when that one has ended") {
  kit::in_every_order([](simulation&) -> task<> {
    auto numbers = count_to(9);
    const auto takes_three = [&numbers] {
      int sum = 0;
      for (int i = 0; i < 3; ++i) {
        sum += *numbers.next();
        fiber::await(yield_now());
      }
      return sum;
    };
    const int first = co_await in_fiber(takes_three);
    const int second = co_await in_fiber(takes_three);
    const int third = *numbers.next() + *numbers.next() + *numbers.next();
    CHECK(first == 6);
    CHECK(second == 15);
    CHECK(third == 24);
  });
}

TEST_CASE("stackful_generator: inside a fiber its function may await, while others go on") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto sums = [](int factor) {
      stackful_generator<int> slow([factor](yielder<int>& yield) {
        for (int i = 1; i <= 4; ++i) {
          fiber::await(sleep_for(1ms));
          yield(i * factor);
        }
      });
      int sum = 0;
      for (const int value : slow) {
        fiber::await(yield_now());
        sum += value;
      }
      return sum;
    };
    const auto [one, two] = co_await when_all(in_fiber(sums, 1), in_fiber(sums, 10));
    CHECK(one == 10);
    CHECK(two == 100);
  });
}

TEST_CASE("stackful_generator: when the fiber that uses it is cancelled, both are unwound") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally tally;
    const auto uses = [&] {
      stackful_generator<int> waits([&](yielder<int>& yield) {
        const kit::balanced inside(tally);
        yield(1);
        fiber::await(sleep_forever());
      });
      const kit::balanced around(tally);
      while (waits.next()) {
      }
    };
    const bool ended = co_await move_on_after(1ms, in_fiber(uses));
    CHECK_FALSE(ended);
    CHECK(tally.made == 2);
    CHECK(tally.alive == 0);
  });
}
