// Tests of ringlet/when_all.hpp.
#include "kit/counted.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/offload.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_all.hpp>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;
using kit::give_after;
using kit::leave_slowly;

namespace {

task<int> fail_after(duration length, std::string what) {
  co_await sleep_for(length);
  throw std::runtime_error(what);
}

task<std::unique_ptr<int>> make_after(duration length, int value) {
  co_await sleep_for(length);
  co_return std::make_unique<int>(value);
}

}  // namespace

TEST_CASE("when_all: gives all results in the order of the arguments, when the last one is there") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    const auto [slow, quick, pointer] = co_await when_all(give_after(10ms, 1), give_after(1ms, 2), make_after(5ms, 3));
    CHECK(slow == 1);
    CHECK(quick == 2);
    CHECK(*pointer == 3);
    CHECK(world.clock().now() - start == 10ms);
  });
}

TEST_CASE("when_all: takes awaitables of every kind, and gives `nothing` for those without a value") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::array<std::byte, 8> buffer{};
    event e;
    e.set();
    co_await with_nursery([&](nursery& n) -> task<> {
      auto work = n.spawn(give_after, 1ms, 7);
      const auto [got, sent, slept, value, set] =
          co_await when_all(b.read_some(buffer), a.write_some(std::as_bytes(std::span("abc", 3))), sleep_for(1ms), work,
                            with_timeout(1s, e.wait()));
      CHECK(got == 3);
      CHECK(sent == 3);
      CHECK(slept == nothing());
      CHECK(value == 7);
      CHECK(set == nothing());
    });
  });
}

TEST_CASE("when_all: gives a pointer for a reference") {
  kit::in_every_order([](simulation&) -> task<> {
    int number = 1;
    const auto refer = [](int& n) -> task<int&> { co_return n; };
    const auto [pointer] = co_await when_all(refer(number));
    CHECK(pointer == &number);
  });
}

TEST_CASE("when_all: of a range gives a vector in its order; of an empty one an empty vector at once") {
  kit::in_every_order([](simulation&) -> task<> {
    std::vector<task<int>> work;
    for (int i = 0; i < 10; ++i) work.push_back(give_after((10 - i) * 1ms, i));
    const std::vector<int> values = co_await when_all(std::move(work));
    CHECK(values == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    std::vector<task<int>> no_work;
    const std::vector<int> none = co_await when_all(std::move(no_work));
    CHECK(none.empty());
  });
}

TEST_CASE("when_all: the first error cancels the others, awaits them and comes out") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int left = 0;
    std::string caught;
    try {
      co_await when_all(leave_slowly(left), fail_after(2ms, "first"), fail_after(4ms, "second"), leave_slowly(left));
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    CHECK(caught == "first");
    CHECK(left == 2);
    CHECK(world.clock().now() - start == 5ms);
  });
}

TEST_CASE("when_all: of a range, the first error cancels the others, awaits them and comes out") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int left = 0;
    std::vector<task<int>> work;
    work.push_back(leave_slowly(left));
    work.push_back(fail_after(2ms, "first"));
    work.push_back(leave_slowly(left));
    std::string caught;
    try {
      co_await when_all(std::move(work));
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    CHECK(caught == "first");
    CHECK(left == 2);
    CHECK(world.clock().now() - start == 5ms);
  });
}

TEST_CASE("when_all: an error at once leaves nothing begun behind") {
  kit::in_every_order([](simulation&) -> task<> {
    bool caught = false;
    try {
      co_await when_all(fail_after(0ms, "at once"), give_after(1h, 1), sleep_forever());
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught);
  });
}

TEST_CASE("when_all: cancelled while some are done, it cancels and awaits the rest, and frees what was done") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    kit::tally t;
    int left = 0;
    const auto make = [&]() -> task<kit::balanced> { co_return kit::balanced(t); };
    const auto all = co_await move_on_after(2ms, when_all(make(), leave_slowly(left), make()));
    CHECK_FALSE(all.has_value());
    CHECK(left == 1);
    CHECK(t.made > 0);
    CHECK(t.alive == 0);
    CHECK(world.clock().now() - start == 5ms);
  });
}

TEST_CASE("when_all: cancelled when all are done by then, it gives the results") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto shielded = [](int value) -> task<int> {
      co_await shield(sleep_for(5ms));
      co_return value;
    };
    const auto all = co_await move_on_after(2ms, when_all(shielded(1), shielded(2)));
    CHECK(all == std::tuple<int, int>{1, 2});
  });
}

TEST_CASE("when_all: in a scope that is cancelled already nothing begins") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    bool begun = false;
    const auto begins = [&]() -> task<int> {
      begun = true;
      co_return 1;
    };
    const auto all = co_await move_on_after(0ms, when_all(begins(), begins(), a.write_all("x")));
    CHECK_FALSE(all.has_value());
    std::vector<task<int>> range;
    range.push_back(begins());
    range.push_back(begins());
    const auto all_of_range = co_await move_on_after(0ms, when_all(std::move(range)));
    CHECK_FALSE(all_of_range.has_value());
    CHECK_FALSE(begun);
    CHECK(world.asked(operation::send) == 0);
  });
}

TEST_CASE("when_all: may be nested") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto both = co_await when_all(when_all(give_after(1ms, 1), give_after(2ms, 2)), when_all(give_after(3ms, 3)));
    CHECK(both == std::tuple<std::tuple<int, int>, std::tuple<int>>{{1, 2}, {3}});
  });
}
