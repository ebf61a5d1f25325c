// Tests of ringlet/async_generator.hpp.
#include "kit/counted.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/as_result.hpp>
#include <ringlet/async_generator.hpp>
#include <ringlet/channel.hpp>
#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_all.hpp>
#include <ringlet/when_any.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#if TEST_FIBERS
#include <ringlet/fiber.hpp>
#endif

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

using numbers = std::vector<int>;

async_generator<int> count_to(int last) {
  for (int n = 1; n <= last; ++n) co_yield n;
}

async_generator<int> count_slowly(int last) {
  for (int n = 1; n <= last; ++n) {
    co_await sleep_for(1ms);
    co_yield n;
  }
}

async_generator<int> fail_after(int count) {
  for (int n = 1; n <= count; ++n) co_yield n;
  co_await sleep_for(1ms);
  throw std::runtime_error("no more");
}

task<numbers> collect(async_generator<int> values) {
  numbers all;
  while (const auto value = co_await values.next()) all.push_back(*value);
  co_return all;
}

// Writes down what becomes of it. Its clean-up takes 3 ms, and is shielded.
async_generator<int> with_clean_up(std::string& log, int last) {
  bool ended_early = false;
  log += "begin ";
  try {
    for (int n = 1; n <= last; ++n) {
      co_yield n;
      co_await sleep_for(1ms);
    }
  } catch (const cancelled&) {
    log += "cancelled ";
    ended_early = true;
  }
  co_await shield(sleep_for(3ms));
  log += "clean";
  if (ended_early) throw cancelled();
}

async_generator<int> holding(kit::balanced mine) {
  const kit::balanced local(mine);
  co_yield 1;
  co_await sleep_for(1ms);
  co_yield 2;
}

}  // namespace

TEST_CASE("async_generator: next gives the values and then nullopt for ever") {
  kit::in_every_order([](simulation& world) -> task<> {
    async_generator<int> values = count_slowly(2);
    const time_point start = world.clock().now();
    const auto first = co_await values.next();
    CHECK(first == 1);
    const auto second = co_await values.next();
    CHECK(second == 2);
    CHECK(world.clock().now() - start == 2ms);
    CHECK_FALSE(values.done());
    for (int i = 0; i < 3; ++i) {
      const auto after_the_end = co_await values.next();
      CHECK(after_the_end == std::nullopt);
      CHECK(values.done());
    }
  });
}

TEST_CASE("async_generator: nothing runs before the first value is asked for") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string log;
    async_generator<int> values = with_clean_up(log, 1);
    auto asked = values.next();
    CHECK(log.empty());
    co_await std::move(asked);
    CHECK(log == "begin ");
  });
}

TEST_CASE("async_generator: other tasks run while its body waits, and not while it only yields") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns));
      // Why so few: where the compiler makes transfers calls, the limit of the stack goes by way of the loop at times.
      async_generator<int> fast = count_to(5);
      co_await fast.next();
      const int before = turns;
      while (co_await fast.next()) {
      }
      CHECK(turns == before);
      async_generator<int> patient = []() -> async_generator<int> {
        for (int i = 0; i < 10; ++i) co_await yield_now();
        co_yield 1;
      }();
      co_await patient.next();
      CHECK(turns > before + 5);
      n.cancel();
    });
  });
}

TEST_CASE("async_generator: a task that only consumes 100,000 yields lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns = 0, seen = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns));
      async_generator<int> values = count_to(100'000);
      while (const auto value = co_await values.next()) {
        if (*value != ++seen) FAIL_CHECK("another value");
      }
      n.cancel();
    });
    CHECK(seen == 100'000);
    CHECK(turns > 500);
  });
}

TEST_CASE("async_generator: a task that asks one that has ended again and again lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns));
      async_generator<int> ended = count_to(0);
      for (int i = 0; i < 10'000; ++i) {
        if (co_await ended.next()) FAIL_CHECK("a value after the end");
        co_await ended.close();
      }
      n.cancel();
    });
    CHECK(turns > 100);
  });
}

TEST_CASE("async_generator: a reference that is yielded is the object itself") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto each = [](numbers& of) -> async_generator<int&> {
      for (int& n : of) {
        co_await yield_now();
        co_yield n;
      }
    };
    numbers data{1, 2, 3};
    async_generator<int&> values = each(data);
    const auto first = co_await values.next();
    CHECK(&*first == &data[0]);
    while (const auto value = co_await values.next()) *value *= 10;
    CHECK(data == numbers{1, 20, 30});
  });
}

TEST_CASE("async_generator: a temporary that is yielded by reference lives until the next value is asked for") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto words = []() -> async_generator<const std::string&> {
      co_yield "a word that is too long for the small string";
      co_yield std::string("another word that is too long for it");
    };
    async_generator<const std::string&> values = words();
    std::vector<std::string> seen;
    while (const auto word = co_await values.next()) {
      co_await yield_now();
      seen.push_back(*word);
    }
    CHECK(seen == std::vector<std::string>{"a word that is too long for the small string",
                                           "another word that is too long for it"});
  });
}

TEST_CASE("async_generator: values that can only be moved are moved out, and named ones are copied") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto pointers = []() -> async_generator<std::unique_ptr<int>> {
      co_yield std::make_unique<int>(1);
      auto named = std::make_unique<int>(2);
      co_yield std::move(named);
      co_yield nullptr;
    };
    async_generator<std::unique_ptr<int>> values = pointers();
    std::optional<std::unique_ptr<int>> value = co_await values.next();
    CHECK(**value == 1);
    value = co_await values.next();
    CHECK(**value == 2);
    value = co_await values.next();
    CHECK(*value == nullptr);
    value = co_await values.next();
    CHECK(value == std::nullopt);

    bool still_there = false;
    const auto words = [](bool& kept) -> async_generator<std::string> {
      const std::string named = "a word that is too long for the small string";
      co_yield named;
      kept = named.size() == 44;
    };
    async_generator<std::string> texts = words(still_there);
    const auto word = co_await texts.next();
    CHECK(word->size() == 44);
    co_await texts.next();
    CHECK(still_there);
  });
}

TEST_CASE("async_generator: values that cannot be assigned or made from nothing work") {
  kit::in_every_order([](simulation&) -> task<> {
    class rigid {
     public:
      explicit rigid(int n) : number(n) {}
      const int number;
    };
    const auto rigids = []() -> async_generator<rigid> {
      co_yield rigid(1);
      co_yield rigid(2);
    };
    async_generator<rigid> values = rigids();
    int sum = 0;
    while (const auto value = co_await values.next()) sum += value->number;
    CHECK(sum == 3);
  });
}

TEST_CASE("async_generator: one that has ended has destroyed its frame with the arguments") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally count;
    const kit::balanced argument(count);
    async_generator<int> values = holding(argument);
    CHECK(count.alive == 2);
    while (co_await values.next()) CHECK(count.alive == 3);
    CHECK(values.done());
    CHECK(count.alive == 1);
  });
}

TEST_CASE("async_generator: destroyed at a co_yield or before its start it destroys what lives in it") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally count;
    const kit::balanced argument(count);
    {
      async_generator<int> fresh = holding(argument);
      async_generator<int> begun = holding(argument);
      const auto value = co_await begun.next();
      CHECK(value == 1);
      CHECK(count.alive == 4);
    }
    CHECK(count.alive == 1);
    std::string log;
    {
      async_generator<int> values = with_clean_up(log, 3);
      co_await values.next();
    }
    CHECK(log == "begin ");
  });
}

TEST_CASE("async_generator: assigning to one destroys what it was, and one that is moved goes on where it is") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally count;
    const kit::balanced argument(count);
    async_generator<int> values = holding(argument);
    co_await values.next();
    values = count_to(3);
    CHECK(count.alive == 1);
    co_await values.next();
    async_generator<int> taken = std::move(values);
    CHECK(values.done());
    const auto nothing_left = co_await values.next();
    CHECK(nothing_left == std::nullopt);
    const numbers rest = co_await collect(std::move(taken));
    CHECK(rest == numbers{2, 3});
  });
}

TEST_CASE("async_generator: what its body throws comes out of next, once, and ends it") {
  kit::in_every_order([](simulation&) -> task<> {
    for (const int count : {0, 2}) {
      async_generator<int> values = fail_after(count);
      numbers seen;
      std::string caught;
      try {
        while (const auto value = co_await values.next()) seen.push_back(*value);
      } catch (const std::runtime_error& e) {
        caught = e.what();
      }
      CHECK(caught == "no more");
      CHECK(seen.size() == static_cast<std::size_t>(count));
      CHECK(values.done());
      const auto after_the_end = co_await values.next();
      CHECK(after_the_end == std::nullopt);
    }
  });
}

TEST_CASE("async_generator: what throws when a value is copied comes out at the co_yield") {
  kit::in_every_order([](simulation&) -> task<> {
    class touchy {
     public:
      touchy() = default;
      touchy(const touchy&) { throw std::runtime_error("copied"); }
    };
    int caught = 0;
    const auto values_of = [&]() -> async_generator<touchy> {
      const touchy named;
      try {
        co_yield named;
      } catch (const std::runtime_error&) {
        ++caught;
      }
    };
    async_generator<touchy> values = values_of();
    const auto ended = co_await values.next();
    CHECK_FALSE(ended.has_value());
    CHECK(caught == 1);
  });
}

TEST_CASE("async_generator: a cancel request reaches what the body awaits, comes out of next, and ends it") {
  kit::in_every_order([](simulation& world) -> task<> {
    std::string log;
    async_generator<int> values = with_clean_up(log, 10);
    const time_point start = world.clock().now();
    int seen = 0;
    const bool whole = co_await move_on_after(3ms + 1us, [&]() -> task<> {
      while (co_await values.next()) ++seen;
    }());
    CHECK_FALSE(whole);
    CHECK(seen == 4);
    CHECK(log == "begin cancelled clean");
    CHECK(world.clock().now() - start == 6ms + 1us);
    CHECK(values.done());
    const auto after_the_end = co_await values.next();
    CHECK(after_the_end == std::nullopt);
  });
}

TEST_CASE("async_generator: in a cancelled task its co_yield throws, and the value yielded before is not lost") {
  kit::in_every_order([](simulation&) -> task<> {
    numbers seen;
    async_generator<int> values = count_to(10);
    cancel_scope scope;
    const bool whole = co_await scope.run([&]() -> task<> {
      while (const auto value = co_await values.next()) {
        seen.push_back(*value);
        if (*value == 3) scope.cancel();
      }
    });
    CHECK_FALSE(whole);
    CHECK(seen == numbers{1, 2, 3});
    CHECK(values.done());
  });
}

TEST_CASE("async_generator: a time limit around one next ends the generator only if it is over") {
  kit::in_every_order([](simulation&) -> task<> {
    async_generator<int> values = count_slowly(3);
    const auto first = co_await move_on_after(10ms, values.next());
    CHECK((first && *first == 1));
    const auto too_late = co_await move_on_after(10us, values.next());
    CHECK_FALSE(too_late.has_value());
    CHECK(values.done());
  });
}

TEST_CASE("async_generator: behind a shield it goes on in a cancelled task") {
  kit::in_every_order([](simulation&) -> task<> {
    async_generator<int> values = count_slowly(3);
    int sum = 0;
    cancel_scope scope;
    scope.cancel();
    co_await scope.run([&]() -> task<> {
      while (const auto value = co_await shield(values.next())) sum += *value;
    });
    CHECK(sum == 6);
  });
}

TEST_CASE("async_generator: wherever its task is cancelled, the body's clean-up runs to its end, or never began") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string log;
    int ended_early = 0;
    kit::tally count;
    auto body = [&]() -> task<> {
      log.clear();
      async_generator<int> values = with_clean_up(log, 3);
      async_generator<int> other = holding(kit::balanced(count));
      auto consume = [&]() -> task<> {
        while (co_await values.next()) co_await other.next();
      };
      auto close = [&] { return values.close(); };
      auto check = [&]() -> task<> {
        CHECK((log.empty() || log.find("clean") != std::string::npos));
        if (log.find("cancelled") != std::string::npos) ++ended_early;
        co_return;
      };
      co_await finally(finally(consume, close), check);
    };
    co_await for_each_cancel_point(body);
    CHECK(ended_early > 3);
    CHECK(count.alive == 0);
  });
}

TEST_CASE("async_generator: close ends it at its co_yield, and waits for its clean-up") {
  kit::in_every_order([](simulation& world) -> task<> {
    std::string log;
    async_generator<int> values = with_clean_up(log, 3);
    co_await values.next();
    const time_point start = world.clock().now();
    co_await values.close();
    CHECK(log == "begin cancelled clean");
    CHECK(world.clock().now() - start == 3ms);
    CHECK(values.done());
    co_await values.close();
    const auto after_the_end = co_await values.next();
    CHECK(after_the_end == std::nullopt);
  });
}

TEST_CASE("async_generator: close before the start or after the end only destroys it") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally count;
    std::string log;
    async_generator<int> fresh = with_clean_up(log, 3);
    async_generator<int> holder = holding(kit::balanced(count));
    co_await fresh.close();
    co_await holder.close();
    CHECK(log.empty());
    CHECK(count.alive == 0);
    CHECK((fresh.done() && holder.done()));
    async_generator<int> ended = count_to(0);
    co_await ended.next();
    co_await ended.close();
    CHECK(ended.done());
  });
}

TEST_CASE("async_generator: when it is closed every further co_yield throws, and no value comes out") {
  kit::in_every_order([](simulation&) -> task<> {
    int refused = 0;
    const auto stubborn = [&]() -> async_generator<std::string> {
      for (int i = 0; i < 5; ++i) {
        try {
          co_yield "a word that is too long for the small string";
        } catch (const cancelled&) {
          ++refused;
          if (refused > 3) co_return;
        }
      }
    };
    async_generator<std::string> values = stubborn();
    co_await values.next();
    co_await values.close();
    CHECK(refused == 4);
    CHECK(values.done());
  });
}

TEST_CASE("async_generator: what the clean-up throws comes out of close, and it is closed") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto failing = []() -> async_generator<int> {
      try {
        co_yield 1;
      } catch (const cancelled&) {
        throw std::runtime_error("in the clean-up");
      }
    };
    async_generator<int> values = failing();
    co_await values.next();
    const auto result = co_await detail::as_outcome(values.close());
    CHECK(result.has_error());
    CHECK(values.done());
  });
}

TEST_CASE(
    "async_generator: a cancel request ends what the clean-up awaits, and close lets it wait for the next await") {
  kit::in_every_order([](simulation& world) -> task<> {
    bool cut_short = false, closed = false;
    const auto slow = [&]() -> async_generator<int> {
      try {
        co_yield 1;
      } catch (const cancelled&) {
      }
      try {
        co_await sleep_for(1h);
      } catch (const cancelled&) {
        cut_short = true;
        throw;
      }
    };
    const time_point start = world.clock().now();
    const bool whole = co_await move_on_after(1ms, [&]() -> task<> {
      async_generator<int> values = slow();
      co_await values.next();
      co_await values.close();
      closed = values.done();
      co_await checkpoint();
    }());
    CHECK((cut_short && closed));
    CHECK_FALSE(whole);
    CHECK(world.clock().now() - start == 1ms);
  });
}

TEST_CASE("async_generator: tasks may ask one after the other, and each is the one that a cancel request reaches") {
  kit::in_every_order([](simulation&) -> task<> {
    async_generator<int> values = count_slowly(4);
    numbers seen;
    for (int i = 0; i < 2; ++i) {
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          const auto value = co_await values.next();
          seen.push_back(*value);
        });
        co_return;
      });
    }
    CHECK(seen == numbers{1, 2});
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto asking = n.spawn([&]() -> task<> { co_await values.next(); });
      co_await settle();
      n.cancel();
    });
    CHECK(values.done());
  });
}

TEST_CASE("async_generator: next can be raced, and awaited with others") {
  kit::in_every_order([](simulation&) -> task<> {
    async_generator<int> one = count_slowly(3), other = count_slowly(3);
    const auto both = co_await when_all(one.next(), other.next());
    CHECK((std::get<0>(both) == 1 && std::get<1>(both) == 1));
    const auto race = co_await when_any(one.next(), sleep_for(1h));
    CHECK(std::get<0>(race) == std::optional<int>(2));
    const auto lost = co_await when_any(one.next(), sleep_for(1us));
    CHECK_FALSE(std::get<0>(lost).has_value());
    CHECK(one.done());
    const auto result = co_await as_result(other.next());
    CHECK(result.value() == 2);
  });
}

namespace {

async_generator<int> pass_on(async_generator<int> inner) {
  while (const auto value = co_await inner.next()) co_yield *value + 1;
}

// Calls itself: the innermost yields first.
async_generator<int> descend(int depth) {
  if (depth > 0) {
    async_generator<int> below = descend(depth - 1);
    while (const auto value = co_await below.next()) co_yield *value;
  }
  co_yield depth;
}

}  // namespace

TEST_CASE("async_generator: one may await another") {
  kit::in_every_order([](simulation&) -> task<> {
    const numbers seen = co_await collect(pass_on(pass_on(count_slowly(3))));
    CHECK(seen == numbers{3, 4, 5});
    const numbers depths = co_await collect(descend(60));
    CHECK(depths.size() == 61);
    CHECK((depths.front() == 0 && depths.back() == 60));
  });
}

TEST_CASE("async_generator: a chain of 10,000 overflows no stack, whether it ends, fails or is cancelled") {
  kit::in_every_order([](simulation&) -> task<> {
    constexpr int deep = 10'000;
    const auto chain = [](async_generator<int> innermost) {
      for (int i = 0; i < deep; ++i) innermost = pass_on(std::move(innermost));
      return innermost;
    };
    const numbers seen = co_await collect(chain(count_slowly(1)));
    CHECK(seen == numbers{deep + 1});
    const auto failed = co_await detail::as_outcome(collect(chain(fail_after(0))));
    CHECK(failed.has_error());
    const auto too_late = co_await move_on_after(1us, collect(chain(count_slowly(1))));
    CHECK_FALSE(too_late.has_value());
  });
}

TEST_CASE("async_generator: a dump shows the way from the task through it to what it awaits") {
  kit::in_every_order([](simulation&) -> task<> {
    event never_set;
    const auto body = [&](nursery& n) -> task<> {
      n.spawn([]() -> task<> { co_await collect(pass_on(count_slowly(1))); });
      for (int i = 0; i < 3; ++i) co_await yield_now();
      const std::string tree = dump_tasks();
      CHECK_THAT(tree, kit::contains("sleep for"));
      const std::size_t innermost = tree.find("in count_slowly at test_async_generator.cpp:");
      const std::size_t middle = tree.find("in pass_on at test_async_generator.cpp:");
      const std::size_t outermost = tree.find("in collect at test_async_generator.cpp:");
      INFO(tree);
      CHECK(outermost != std::string::npos);
      CHECK((innermost < middle && middle < outermost));
    };
    co_await with_nursery(body);
  });
}

TEST_CASE("async_generator: a producer behind a channel is one line, and ends when it is closed") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(2);
    const auto received = [](channel<int>& from) -> async_generator<int> {
      while (auto item = co_await from.receive()) co_yield *item;
    };
    numbers seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (int i = 0; i < 10; ++i) co_await items.send(i);
        items.close();
      });
      seen = co_await collect(received(items));
    });
    CHECK(seen.size() == 10);
  });
}

#if TEST_FIBERS
TEST_CASE("async_generator: a fiber may await it, and a generator may await a fiber") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto sum_up = [](async_generator<int>& values) {
      int sum = 0;
      while (const auto value = fiber::await(values.next())) sum += *value;
      return sum;
    };
    async_generator<int> slow = count_slowly(10), fast = count_to(10'000);
    const int slow_sum = co_await in_fiber(sum_up, std::ref(slow));
    CHECK(slow_sum == 55);
    const int fast_sum = co_await in_fiber(sum_up, std::ref(fast));
    CHECK(fast_sum == 50'005'000);

    const auto by_fiber = [&]() -> async_generator<int> {
      async_generator<int> inner = count_slowly(4);
      co_yield co_await in_fiber(sum_up, std::ref(inner));
    };
    const numbers seen = co_await collect(by_fiber());
    CHECK(seen == numbers{10});

    std::string log;
    async_generator<int> cleaned = with_clean_up(log, 3);
    const auto close_early = [](async_generator<int>& values) {
      fiber::await(values.next());
      fiber::await(values.close());
    };
    co_await in_fiber(close_early, std::ref(cleaned));
    CHECK(log == "begin cancelled clean");
  });
}
#endif
