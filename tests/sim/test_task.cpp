// Tests of ringlet/task.hpp.
#include "kit/counted.hpp"
#include "kit/nests.hpp"
#include "kit/sim.hpp"

#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/task.hpp>

#include <memory>
#include <stdexcept>
#include <string>

using namespace ringlet;
using namespace std::chrono_literals;
using kit::wait_nested;

namespace {

task<> note(std::string& log, std::string what) {
  log += what;
  co_return;
}

task<int> seven() {
  co_return 7;
}

task<std::unique_ptr<int>> owned_number(int n) {
  co_return std::make_unique<int>(n);
}

task<int&> same(int& n) {
  co_return n;
}

task<std::string> converted() {
  co_return "from a literal";
}

task<> throws_out_of_range() {
  co_await yield_now();
  throw std::out_of_range("too far");
}

struct fails_to_convert {
  operator std::string() const { throw std::domain_error("no text"); }
};

task<std::string> throws_while_returning() {
  co_return fails_to_convert();
}

task<std::size_t> keeps(kit::balanced argument) {
  const kit::balanced local = argument;
  co_await yield_now();
  co_return local.text().size();
}

// Awaiters as other libraries write them: each of the three kinds of await_suspend, and a free operator co_await.
struct goes_on_at_once {
  bool await_ready() { return false; }
  bool await_suspend(std::coroutine_handle<>) { return false; }
  int await_resume() { return 1; }
};

struct is_ready {
  bool await_ready() { return true; }
  void await_suspend(std::coroutine_handle<>) {}
  int await_resume() { return 2; }
};

struct comes_back_by_handle {
  bool await_ready() { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> here) { return here; }
  int await_resume() { return 3; }
};

struct needs_an_operator {};
is_ready operator co_await(needs_an_operator) {
  return {};
}

}  // namespace

TEST_CASE("task: it starts when it is awaited, not when it is made") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string log;
    auto later = note(log, "ran");
    co_await yield_now();
    CHECK(log.empty());
    co_await std::move(later);
    CHECK(log == "ran");
  });
}

TEST_CASE("task: gives a value, a reference, an object that can only be moved, or nothing") {
  kit::in_every_order([](simulation&) -> task<> {
    const int value = co_await seven();
    CHECK(value == 7);
    int number = 1;
    int& reference = co_await same(number);
    CHECK(&reference == &number);
    const std::unique_ptr<int> moved = co_await owned_number(5);
    CHECK(*moved == 5);
    const std::string text = co_await converted();
    CHECK(text == "from a literal");
    std::string log;
    co_await note(log, "x");
    CHECK(log == "x");
  });
}

TEST_CASE("task: what its body throws comes out of the await with its own type") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string caught;
    try {
      co_await throws_out_of_range();
    } catch (const std::out_of_range& e) {
      caught = e.what();
    }
    CHECK(caught == "too far");
  });
}

TEST_CASE("task: an error of the conversion to its result is the task's error") {
  kit::in_every_order([](simulation&) -> task<> {
    bool caught = false;
    try {
      co_await throws_while_returning();
    } catch (const std::domain_error&) {
      caught = true;
    }
    CHECK(caught);
  });
}

TEST_CASE("task: dropped before it is awaited it never runs, and frees its arguments") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally t;
    std::string log;
    const kit::balanced argument(t);
    {
      auto with_argument = keeps(argument);
      auto never_run = note(log, "ran");
      CHECK(t.alive == 2);
      std::move(with_argument).drop();
      std::move(never_run).drop();
      CHECK(t.alive == 1);
    }
    CHECK(log.empty());
    co_return;
  });
}

TEST_CASE("task: its arguments and locals are destroyed once, by the time the await is over") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally t;
    co_await keeps(kit::balanced(t));
    CHECK(t.alive == 0);
    const kit::balanced named(t);
    co_await keeps(named);
    CHECK(t.alive == 1);
  });
}

TEST_CASE("task: moves before it is awaited, into a variable, a container or another task") {
  kit::in_every_order([](simulation&) -> task<> {
    task<int> first = seven();
    task<int> second = std::move(first);
    std::vector<task<int>> kept;
    kept.push_back(std::move(second));
    kept.push_back(seven());
    const auto take_over = [](task<int> given) -> task<int> { co_return 1 + co_await std::move(given); };
    int sum = co_await take_over(std::move(kept[0]));
    sum += co_await std::move(kept[1]);
    CHECK(sum == 15);
  });
}

TEST_CASE("task: a task that awaits only what is ready lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns_of_other = 0;
    bool busy_is_done = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (int i = 0; i < 10'000; ++i) co_await seven();
        busy_is_done = true;
      });
      n.spawn([&]() -> task<> {
        while (!busy_is_done) {
          ++turns_of_other;
          co_await yield_now();
        }
      });
      co_return;
    });
    CHECK(turns_of_other > 50);  // 128 calls a step
  });
}

TEST_CASE("task: awaits awaiters of other libraries, whatever their await_suspend returns") {
  kit::in_every_order([](simulation&) -> task<> {
    int sum = co_await goes_on_at_once();
    sum += co_await is_ready();
    sum += co_await comes_back_by_handle();
    sum += co_await needs_an_operator();
    is_ready named;
    sum += co_await named;
    CHECK(sum == 10);
  });
}

TEST_CASE("task: awaits coroutines that run inside of await_suspend, while other tasks begin and end behind them") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    int went_on = 0, ended = 0;
    const auto waits = [&]() -> task<> {
      co_await yield_now();
      co_await wait_nested(e);
      co_await wait_nested(e);
      ++went_on;
    };
    const auto ends = [&](bool sets) -> task<> {
      co_await yield_now();
      if (sets) e.set();
      ++ended;
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const bool sets : {false, false, true}) {
        n.spawn(waits);
        n.spawn(ends, sets);
      }
      co_return;
    });
    CHECK(went_on == 3);
    CHECK(ended == 3);
  });
}

TEST_CASE(
    "task: one that is cancelled before it begins ends, also behind a coroutine that runs inside of await_suspend") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    bool other_ran = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await wait_nested(e); });
      auto never_begins = n.spawn([]() -> task<> { co_return; });
      n.spawn([&]() -> task<> {
        other_ran = true;
        e.set();
        co_return;
      });
      never_begins.cancel();
      co_return;
    });
    CHECK(other_ran);
  });
}

TEST_CASE("task: `cancelled` passes through a catch of std::exception") {
  kit::in_every_order([](simulation&) -> task<> {
    bool eaten = false;
    bool unwound = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        try {
          try {
            co_await sleep_forever();
          } catch (const std::exception&) {
            eaten = true;
          }
        } catch (const cancelled&) {
          unwound = true;
          throw;
        }
      });
      co_await settle();
      n.cancel();
    });
    CHECK(unwound);
    CHECK_FALSE(eaten);
  });
}
