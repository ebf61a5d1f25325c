// Tests of ringlet/when_any.hpp.
#include "kit/counted.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/semaphore.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_any.hpp>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;
using kit::give_after;
using kit::leave_slowly;

namespace {

task<int> fail_after(duration length) {
  co_await sleep_for(length);
  throw std::runtime_error("failed");
}

}  // namespace

TEST_CASE("when_any: the first to finish wins; the losers are cancelled and awaited before it returns") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int left = 0;
    const auto [loser, winner] = co_await when_any(leave_slowly(left), give_after(2ms, 7));
    CHECK_FALSE(loser.has_value());
    CHECK(winner == 7);
    CHECK(left == 1);
    CHECK(world.clock().now() - start == 5ms);
  });
}

TEST_CASE("when_any: everything that finished is given, also what finished while it was being cancelled") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto finishes_all_the_same = []() -> task<int> {
      try {
        co_await sleep_forever();
      } catch (const cancelled&) {
      }
      co_return 1;
    };
    const auto [a, b, c] = co_await when_any(finishes_all_the_same(), give_after(1ms, 2), sleep_forever());
    CHECK(a == 1);
    CHECK(b == 2);
    CHECK_FALSE(c.has_value());
  });
}

TEST_CASE("when_any: two operations that complete at the same time are both given") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    auto [c, d] = world.connection();
    co_await a.write_all("x");
    co_await c.write_all("yz");
    std::array<std::byte, 8> first{}, second{};
    const auto [got_b, got_d] = co_await when_any(b.read_some(first), d.read_some(second));
    // Either may be reported alone; what was not given must still be there.
    CHECK((got_b.has_value() || got_d.has_value()));
    if (!got_b) {
      const std::size_t still_there = co_await b.read_some(first);
      CHECK(still_there == 1);
    }
    if (!got_d) {
      const std::size_t still_there = co_await d.read_some(second);
      CHECK(still_there == 2);
    }
  });
}

TEST_CASE("when_any: what a loser would have taken is still there") {
  kit::in_every_order([](simulation&) -> task<> {
    semaphore s(1);
    const auto [acquired, quick] = co_await when_any(s.acquire(), give_after(0ms, 1));
    CHECK(s.available() == (acquired ? 0u : 1u));
    if (acquired) s.release();
    CHECK((acquired || quick));
  });
}

TEST_CASE("when_any: an error cancels the others, awaits them and comes out") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int left = 0;
    bool caught = false;
    try {
      co_await when_any(leave_slowly(left), fail_after(2ms), give_after(1h, 1));
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught);
    CHECK(left == 1);
    CHECK(world.clock().now() - start == 5ms);
  });
}

TEST_CASE("when_any: of a range gives a vector of optionals; of an empty one an empty vector at once") {
  kit::in_every_order([](simulation&) -> task<> {
    std::vector<task<int>> work;
    for (int i = 0; i < 5; ++i) work.push_back(give_after((5 - i) * 1ms, i));
    const auto values = co_await when_any(std::move(work));
    REQUIRE(values.size() == 5);
    CHECK(values[4] == 4);
    for (std::size_t i = 0; i < 4; ++i) CHECK_FALSE(values[i].has_value());
    std::vector<task<int>> no_work;
    const auto none = co_await when_any(std::move(no_work));
    CHECK(none.empty());
  });
}

TEST_CASE("when_any: cancelled before anything finished, it cancels and awaits all") {
  kit::in_every_order([](simulation&) -> task<> {
    int left = 0;
    const auto ended = co_await move_on_after(2ms, when_any(leave_slowly(left), sleep_forever()));
    CHECK_FALSE(ended.has_value());
    CHECK(left == 1);
    std::vector<task<int>> work;
    work.push_back(give_after(1h, 1));
    const auto of_range = co_await move_on_after(2ms, when_any(std::move(work)));
    CHECK_FALSE(of_range.has_value());
  });
}

TEST_CASE("when_any: cancelled after one finished, while the losers leave, it gives what finished") {
  kit::in_every_order([](simulation&) -> task<> {
    int left = 0;
    const auto ended = co_await move_on_after(2ms, when_any(leave_slowly(left), give_after(1ms, 5)));
    REQUIRE(ended.has_value());
    CHECK(std::get<1>(*ended) == 5);
    CHECK(left == 1);
  });
}

TEST_CASE("when_any: in a scope that is cancelled already nothing begins") {
  kit::in_every_order([](simulation&) -> task<> {
    bool begun = false;
    const auto begins = [&]() -> task<int> {
      begun = true;
      co_return 1;
    };
    const auto any = co_await move_on_after(0ms, when_any(begins(), begins()));
    CHECK_FALSE(any.has_value());
    CHECK_FALSE(begun);
  });
}

TEST_CASE("when_any: results of losers that finished are destroyed once") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally t;
    {
      const auto make = [&]() -> task<kit::balanced> {
        co_await yield_now();
        co_return kit::balanced(t);
      };
      const auto all = co_await when_any(make(), make(), make());
      const int finished = std::get<0>(all).has_value() + std::get<1>(all).has_value() + std::get<2>(all).has_value();
      CHECK(finished >= 1);
      CHECK(t.alive == finished);
    }
    CHECK(t.alive == 0);
  });
}

TEST_CASE("when_any: as a timeout, with a sleep") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    event never_set;
    const auto [set, time_over] = co_await when_any(never_set.wait(), sleep_for(4ms));
    CHECK_FALSE(set.has_value());
    CHECK(time_over.has_value());
    CHECK(world.clock().now() - start == 4ms);
  });
}
