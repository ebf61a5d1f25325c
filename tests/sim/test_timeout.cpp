// Tests of ringlet/timeout.hpp.
#include "kit/random.hpp"
#include "kit/sim.hpp"

#include <ringlet/event.hpp>
#include <ringlet/mutex.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

task<int> answer_after(duration length) {
  co_await sleep_for(length);
  co_return 42;
}

task<std::string> throws_after(duration length) {
  co_await sleep_for(length);
  throw std::runtime_error("inside");
}

}  // namespace

TEST_CASE("timeout: gives the value that comes in time, and throws timed_out at the deadline otherwise") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    const int value = co_await with_timeout(10ms, answer_after(9ms));
    CHECK(value == 42);
    CHECK(world.clock().now() - start == 9ms);
    bool expired = false;
    try {
      co_await with_timeout(10ms, answer_after(11ms));
    } catch (const timed_out& e) {
      expired = true;
      CHECK(std::string(e.what()) == "timed out");
    }
    CHECK(expired);
    CHECK(world.clock().now() - start == 19ms);
  });
}

TEST_CASE("timeout: with_deadline ends at its point in time") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point when = world.clock().now() + 5ms;
    bool expired = false;
    try {
      co_await with_deadline(when, sleep_forever());
    } catch (const timed_out&) {
      expired = true;
    }
    CHECK(expired);
    CHECK(world.clock().now() == when);
    const int value = co_await with_deadline(never, answer_after(1h));
    CHECK(value == 42);
  });
}

TEST_CASE("timeout: move_on_after gives an optional, or a bool where there is no value") {
  kit::in_every_order([](simulation&) -> task<> {
    const std::optional<int> came = co_await move_on_after(10ms, answer_after(1ms));
    CHECK(came == 42);
    const std::optional<int> did_not = co_await move_on_after(1ms, answer_after(10ms));
    CHECK_FALSE(did_not.has_value());
    const bool slept = co_await move_on_after(10ms, sleep_for(1ms));
    CHECK(slept);
    const bool did_not_sleep = co_await move_on_after(1ms, sleep_for(10ms));
    CHECK_FALSE(did_not_sleep);
  });
}

TEST_CASE("timeout: a reference that comes in time refers to the same object; else there is none") {
  kit::in_every_order([](simulation&) -> task<> {
    int number = 1;
    const auto refer_after = [&number](duration length) -> task<int&> {
      co_await sleep_for(length);
      co_return number;
    };
    int& came = co_await with_timeout(10ms, refer_after(1ms));
    CHECK(&came == &number);
    const optional_reference<int> came_too = co_await move_on_after(10ms, refer_after(1ms));
    CHECK(&*came_too == &number);
    const optional_reference<int> did_not = co_await move_on_after(1ms, refer_after(10ms));
    CHECK_FALSE(did_not.has_value());
  });
}

TEST_CASE("timeout: an error inside comes out, in time or during the unwinding after the deadline") {
  kit::in_every_order([](simulation&) -> task<> {
    int caught = 0;
    try {
      co_await with_timeout(10ms, throws_after(1ms));
    } catch (const std::runtime_error& e) {
      caught += std::string(e.what()) == "inside" ? 1 : 0;
    }
    const auto fails_to_clean_up = []() -> task<> {
      bool was_cancelled = false;
      try {
        co_await sleep_forever();
      } catch (const cancelled&) {
        was_cancelled = true;
      }
      if (was_cancelled) throw std::logic_error("clean-up");
    };
    try {
      co_await move_on_after(1ms, fails_to_clean_up());
    } catch (const std::logic_error&) {
      ++caught;
    }
    CHECK(caught == 2);
  });
}

TEST_CASE("timeout: zero and less are over at once: nothing is begun, no time passes") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    auto [a, b] = world.connection();
    co_await a.write_all("xyz");
    std::array<std::byte, 8> buffer{};
    const unsigned receives = world.asked(operation::receive);
    const unsigned sends = world.asked(operation::send);
    for (const duration length : {duration(0), duration(-1), duration(-1h), duration::min()}) {
      const auto got = co_await move_on_after(length, b.read_some(buffer));
      CHECK_FALSE(got.has_value());
      const bool sent = co_await move_on_after(length, a.write_all("more"));
      CHECK_FALSE(sent);
      bool expired = false;
      try {
        co_await with_timeout(length, sleep_for(0ms));
      } catch (const timed_out&) {
        expired = true;
      }
      CHECK(expired);
    }
    CHECK(world.asked(operation::receive) == receives);
    CHECK(world.asked(operation::send) == sends);
    CHECK(world.clock().now() == start);
    const std::size_t got = co_await b.read_some(buffer);
    CHECK(got == 3);
  });
}

TEST_CASE("timeout: a task that needs no wait gives its value even when the time is over") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto value = co_await move_on_after(0ms, []() -> task<int> { co_return 1; }());
    CHECK(value == 1);
  });
}

TEST_CASE("timeout: a value that came in the same turn as the deadline, but before it, wins") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point when = world.clock().now() + 5ms;
    event e;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await sleep_until(when - duration(1));
        world.clock().advance_to(when);  // it takes so long to set the event
        e.set();
      });
      const bool came = co_await move_on_after(when - world.clock().now(), e.wait());
      CHECK(came);
    });
  });
}

TEST_CASE("timeout: one of the same deadline as the sleep inside it fires first, for it began first") {
  kit::in_every_order([](simulation&) -> task<> {
    const bool slept = co_await move_on_after(5ms, sleep_for(5ms));
    CHECK_FALSE(slept);
  });
}

TEST_CASE("timeout: the longest duration never ends, and does not overflow") {
  kit::in_every_order([](simulation&) -> task<> {
    const int value = co_await with_timeout(duration::max(), answer_after(1000h));
    CHECK(value == 42);
  });
}

TEST_CASE("timeout: of nested timeouts the one whose time is over catches") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    std::string log;
    const auto outer_work = [&](duration inner) -> task<> {
      const bool slept = co_await move_on_after(inner, sleep_forever());
      log += slept ? "s" : "i";
      co_await sleep_forever();
    };
    const bool first = co_await move_on_after(10ms, outer_work(5ms));
    CHECK_FALSE(first);
    CHECK(log == "i");
    CHECK(world.clock().now() - start == 10ms);
    const bool second = co_await move_on_after(5ms, outer_work(10ms));
    CHECK_FALSE(second);
    CHECK(log == "i");
    CHECK(world.clock().now() - start == 15ms);
  });
}

TEST_CASE("timeout: of nested timeouts with equal deadlines the outer one catches") {
  kit::in_every_order([](simulation&) -> task<> {
    bool inner_caught = false;
    const auto inside = [&]() -> task<> {
      try {
        co_await with_timeout(5ms, sleep_forever());
      } catch (const timed_out&) {
        inner_caught = true;
      }
    };
    const bool ended = co_await move_on_after(5ms, inside());
    CHECK_FALSE(ended);
    CHECK_FALSE(inner_caught);
  });
}

TEST_CASE("timeout: timeouts and shields may be nested in one expression, in any order") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    const auto a = co_await move_on_after(10ms, move_on_after(5ms, sleep_forever()));
    CHECK(a == false);  // the inner one ended, and that was in time for the outer one
    const auto b = co_await move_on_after(5ms, move_on_after(10ms, sleep_forever()));
    CHECK_FALSE(b.has_value());
    const auto c = co_await move_on_after(5ms, shield(move_on_after(10ms, sleep_forever())));
    CHECK(c == false);  // the shield kept the outer request away until there was a value
    CHECK(world.clock().now() - start == 20ms);
    const auto d = co_await shield(shield(with_timeout(1h, with_timeout(1h, answer_after(1ms)))));
    CHECK(d == 42);
  });
}

TEST_CASE("timeout: the outer one expires while the inner one's work cleans up: clean-up ends, the outer one catches") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    bool cleaned = false, inner_caught = false;
    const auto clean = [&]() -> task<> {
      co_await sleep_for(10ms);
      cleaned = true;
    };
    const auto inside = [&]() -> task<> {
      try {
        co_await with_timeout(5ms, finally(sleep_forever(), clean));
      } catch (const timed_out&) {
        inner_caught = true;
      }
    };
    const bool ended = co_await move_on_after(8ms, inside());
    CHECK_FALSE(ended);
    CHECK(cleaned);
    CHECK_FALSE(inner_caught);
    CHECK(world.clock().now() - start == 15ms);
  });
}

TEST_CASE("timeout: a cancel request from outside is not taken for the end of the time") {
  kit::in_every_order([](simulation&) -> task<> {
    bool expired = false, unwound = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        try {
          co_await with_timeout(1h, sleep_forever());
        } catch (const timed_out&) {
          expired = true;
        } catch (const cancelled&) {
          unwound = true;
          throw;
        }
      });
      n.spawn([&]() -> task<> {
        co_await move_on_after(1h, sleep_forever());
        expired = true;
      });
      co_await settle();
      n.cancel();
    });
    CHECK(unwound);
    CHECK_FALSE(expired);
  });
}

TEST_CASE("timeout: when it is over its timer is gone, and the scope behind it is not cancelled") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    for (int i = 0; i < 100; ++i) co_await with_timeout(1h, sleep_for(1ms));
    co_await move_on_after(1ms, sleep_forever());
    co_await sleep_for(2h);
    CHECK(world.clock().now() - start == 2h + 101ms);
  });
}

TEST_CASE("timeout: an await that throws before it waits leaves scope and timer in order") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    auto guard = co_await m.lock();
    int caught = 0;
    for (int i = 0; i < 2; ++i) {
      try {
        const auto guard = co_await with_timeout(1h, shield(with_timeout(2h, m.lock())));
      } catch (const std::system_error&) {
        ++caught;
      }
    }
    CHECK(caught == 2);
    guard.unlock();
    auto again = co_await with_timeout(1h, m.lock());
    CHECK(again);
  });
}

TEST_CASE("timeout: gives references and objects that can only be moved") {
  kit::in_every_order([](simulation&) -> task<> {
    int number = 0;
    const auto refer = [](int& n) -> task<int&> { co_return n; };
    int& same = co_await with_timeout(1s, refer(number));
    CHECK(&same == &number);
    const auto make = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    const std::unique_ptr<int> made = co_await with_timeout(1s, make());
    CHECK(*made == 3);
    const auto maybe_made = co_await move_on_after(1s, make());
    CHECK(**maybe_made == 3);
  });
}

TEST_CASE("timeout: takes a named awaitable by copy or by move, and the name stays usable") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    auto wait = e.wait();
    const bool first = co_await move_on_after(1ms, wait);
    CHECK_FALSE(first);
    e.set();
    const bool second = co_await move_on_after(1ms, wait);
    CHECK(second);
    co_await with_nursery([&](nursery& n) -> task<> {
      auto work = n.spawn(answer_after, 5ms);
      const auto early = co_await move_on_after(1ms, work);
      CHECK_FALSE(early.has_value());
      const int value = co_await with_timeout(1h, work);
      CHECK(value == 42);
    });
  });
}

TEST_CASE("timeout: around a nursery, it cancels the children and waits for them") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int ended = 0;
    const auto slow_to_leave = [&]() -> task<> { co_await finally(sleep_forever(), sleep_for(2ms)); };
    const bool whole = co_await move_on_after(5ms, with_nursery([&](nursery& n) -> task<> {
                                                for (int i = 0; i < 3; ++i) {
                                                  n.spawn([&]() -> task<> {
                                                    try {
                                                      co_await slow_to_leave();
                                                    } catch (const cancelled&) {
                                                      ++ended;
                                                      throw;
                                                    }
                                                  });
                                                }
                                                co_return;
                                              }));
    CHECK_FALSE(whole);
    CHECK(ended == 3);
    CHECK(world.clock().now() - start == 7ms);
  });
}

// --- Against a model

namespace {

/// Timeouts nested at random around one sleep. The model: the earliest deadline ends the work, and of equal ones the
/// outermost; a sleep that ends before all deadlines gives its value.
struct nest {
  std::vector<duration> limits;  // the outermost first
  duration sleep;
  int ended_at = -1;  // -1: no limit
  bool slept = false;

  task<> level(std::size_t depth) {
    if (depth == limits.size()) {
      co_await sleep_for(sleep);
      slept = true;
      co_return;
    }
    const bool whole = co_await move_on_after(limits[depth], level(depth + 1));
    if (!whole) ended_at = static_cast<int>(depth);
  }

  duration shortest() const {
    return limits.empty() ? duration::max() : *std::min_element(limits.begin(), limits.end());
  }
  int who_should_end() const {
    if (sleep < shortest()) return -1;
    return static_cast<int>(std::min_element(limits.begin(), limits.end()) - limits.begin());
  }
};

}  // namespace

TEST_CASE("timeout: nested at random, the one ends that a simple model says, at its time") {
  kit::in_random_worlds(50, [](simulation& world, kit::random& draw) -> task<> {
    for (int round = 0; round < 100; ++round) {
      nest n;
      const auto depth = draw.below(6);
      for (std::uint64_t i = 0; i < depth; ++i) n.limits.push_back(1ms + draw.below(5) * 1ms);
      n.sleep = 1ms + draw.below(6) * 1ms;
      const time_point start = world.clock().now();
      co_await n.level(0);
      CHECK(n.ended_at == n.who_should_end());
      CHECK(n.slept == (n.who_should_end() == -1));
      CHECK(world.clock().now() - start == std::min(n.sleep, n.shortest()));
    }
  });
}
