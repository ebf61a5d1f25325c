// Tests of ringlet/fiber.hpp.
#include "kit/counted.hpp"
#include "kit/nests.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/fiber.hpp>
#include <ringlet/ringlet.hpp>

#include <array>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

using namespace ringlet;
using namespace std::chrono_literals;
using fiber::await;

namespace {

constexpr bool sanitized = RINGLET_ASAN != 0 || RINGLET_TSAN != 0;

struct on_purpose : std::runtime_error {
  using std::runtime_error::runtime_error;
};

task<int> fail_after(duration length, std::string why) {
  co_await sleep_for(length);
  throw on_purpose(why);
}

/// Of this process. units: bytes.
std::size_t address_space() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// True where the kernel makes guards without a mapping of their own.
bool guards_are_free() {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const at = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool made = ::madvise(at, page, 102) == 0;  // MADV_GUARD_INSTALL
  ::munmap(at, page);
  return made;
}

/// Awaits at its leaves: the sum of all numbers below 2 to the power of `depth`.
int sum_of_leaves(int depth, int number) {
  if (depth == 0) return await(kit::give_after(1ms, number));
  return sum_of_leaves(depth - 1, 2 * number) + sum_of_leaves(depth - 1, 2 * number + 1);
}

/// What went wrong on the way down: of what lies on the stack, and of the exception that is being handled at each
/// level.
struct findings {
  int levels = 0, changed = 0, strange = 0;
};

std::string what_is_handled() {
  try {
    throw;
  } catch (const on_purpose& e) {
    return e.what();
  }
}

/// Waits at each level in another way, while it handles an exception of its own.
void descend(int number, int depth, findings& found) {
  if (depth == 0) return;
  const std::string mine = std::to_string(number) + " at " + std::to_string(depth) + ", too long to be kept in place";
  std::array<int, 32> numbers;
  numbers.fill(100 * number + depth);
  try {
    throw on_purpose(mine);
  } catch (const on_purpose&) {
    switch ((number + depth) % 4) {
      case 0: await(yield_now()); break;
      case 1: await(sleep_for(std::chrono::milliseconds(number % 3))); break;
      case 2: await(in_fiber(descend, number, depth - 1, std::ref(found))); break;
      case 3: {
        stackful_generator<int> values([&](yielder<int>& yield) {
          for (int i = 0; i < 3; ++i) {
            await(yield_now());
            yield(i);
          }
        });
        while (values.next()) await(yield_now());
      }
    }
    if (what_is_handled() != mine) ++found.strange;
  }
  for (const int n : numbers) found.changed += n == 100 * number + depth ? 0 : 1;
  ++found.levels;
  descend(number, depth - 1, found);
}

/// How many levels that has, with those of the fibers in it.
int levels_of(int number, int depth) {
  if (depth == 0) return 0;
  const bool twice = (number + depth) % 4 == 2;
  return 1 + (twice ? 2 : 1) * levels_of(number, depth - 1);
}

}  // namespace

TEST_CASE("fiber: a plain function awaits at any depth, and gives its result") {
  kit::in_every_order([](simulation&) -> task<> {
    const int sum = co_await in_fiber(sum_of_leaves, 6, 0);
    CHECK(sum == 63 * 64 / 2);
  });
}

TEST_CASE("fiber: results of every kind come out: nothing, a reference, what only moves") {
  kit::in_every_order([](simulation&) -> task<> {
    int target = 0;
    co_await in_fiber([](int& to) { to = await(kit::give_after(1ms, 5)); }, std::ref(target));
    CHECK(target == 5);
    int& same = co_await in_fiber([](std::reference_wrapper<int> from) -> int& { return from; }, std::ref(target));
    CHECK(&same == &target);
    auto only_moves = std::make_unique<int>(7);
    const auto back = co_await in_fiber(
        [](std::unique_ptr<int> given) {
          await(yield_now());
          return given;
        },
        std::move(only_moves));
    CHECK(*back == 7);
  });
}

TEST_CASE("fiber: the function and its arguments live as long as it runs, and are destroyed once") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally tally;
    {
      const kit::balanced captured(tally);
      const auto body = [captured](const kit::balanced& argument) {
        await(sleep_for(1ms));
        return captured.text() == argument.text();
      };
      const kit::balanced argument(tally);
      const bool same = co_await in_fiber(body, argument);
      CHECK(same);
    }
    CHECK(tally.alive == 0);
  });
}

TEST_CASE("fiber: errors come out of the await in the fiber, and out of the fiber") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto catches_one = [] {
      try {
        await(fail_after(1ms, "inner"));
      } catch (const on_purpose& e) {
        if (std::string(e.what()) == "inner") throw on_purpose("outer");
      }
    };
    std::string what;
    try {
      co_await in_fiber(catches_one);
    } catch (const on_purpose& e) {
      what = e.what();
    }
    CHECK(what == "outer");
  });
}

TEST_CASE("fiber: three that throw, sleep inside a catch block and rethrow each see their own exception") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto body = [](int number) -> std::string {
      try {
        try {
          throw on_purpose(std::to_string(number));
        } catch (const on_purpose&) {
          for (int i = 0; i < 3; ++i) await(sleep_for(std::chrono::milliseconds(number)));
          throw;
        }
      } catch (const on_purpose& e) {
        return e.what();
      }
    };
    const auto [one, two, three] = co_await when_all(in_fiber(body, 1), in_fiber(body, 2), in_fiber(body, 3));
    CHECK(one == "1");
    CHECK(two == "2");
    CHECK(three == "3");
  });
}

TEST_CASE(
    "fiber: dozens that wait in all ways, one right after another and among tasks, keep their stacks and exceptions") {
  kit::in_every_order([](simulation&) -> task<> {
    findings found;
    int turns = 0, expected = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto take_turns = [&]() -> task<> {
        for (int i = 0; i < 20; ++i) {
          co_await yield_now();
          ++turns;
        }
      };
      for (int number = 0; number < 24; ++number) {
        expected += levels_of(number, 7);
        n.spawn([&found, number] { return in_fiber(descend, number, 7, std::ref(found)); });
        if (number % 5 == 0) n.spawn(take_turns);
      }
      co_return;
    });
    CHECK(found.levels == expected);
    CHECK(found.changed == 0);
    CHECK(found.strange == 0);
    CHECK(turns == 100);
  });
}

TEST_CASE("fiber: while one unwinds, the others do not see its exception") {
  kit::in_every_order([](simulation&) -> task<> {
    struct sleeper {
      int& seen;
      ~sleeper() {
        await(sleep_for(3ms));
        seen = std::uncaught_exceptions();
      }
    };
    int unwinding = -1, others = -1;
    const auto unwinds = [&] {
      try {
        const sleeper asleep{unwinding};
        throw on_purpose("unwinding");
      } catch (const on_purpose&) {
      }
    };
    const auto looks = [&] {
      await(sleep_for(1ms));
      others = std::uncaught_exceptions() + (std::current_exception() ? 100 : 0);
    };
    co_await when_all(in_fiber(unwinds), in_fiber(looks));
    CHECK(unwinding == 1);
    CHECK(others == 0);
  });
}

TEST_CASE("fiber: a cancelled one is unwound: its await throws, its destructors run, and so do awaits in clean-up") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally tally;
    bool cleaned = false, went_on = false;
    const auto body = [&] {
      const kit::balanced inside(tally);
      try {
        await(sleep_forever());
      } catch (const cancelled&) {
        await(shield(sleep_for(2ms)));
        cleaned = true;
        throw;
      }
      went_on = true;
    };
    const bool ended = co_await move_on_after(1ms, in_fiber(body));
    CHECK_FALSE(ended);
    CHECK(cleaned);
    CHECK_FALSE(went_on);
    CHECK(tally.made == 1);
    CHECK(tally.alive == 0);
  });
}

TEST_CASE("fiber: cancelling is level-triggered: every later await throws, too") {
  kit::in_every_order([](simulation&) -> task<> {
    int thrown = 0;
    const auto stubborn = [&] {
      for (int i = 0; i < 5; ++i) {
        try {
          await(sleep_forever());
        } catch (const cancelled&) {
          ++thrown;
        }
      }
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      auto job = n.spawn([&] { return in_fiber(stubborn); });
      co_await settle();
      job.cancel();
    });
    CHECK(thrown == 5);
  });
}

TEST_CASE("fiber: timeouts and scopes work in it as in a coroutine") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto body = [] {
      CHECK_FALSE(await(move_on_after(1ms, sleep_forever())));
      CHECK(await(move_on_after(10ms, kit::give_after(1ms, 3))) == 3);
      CHECK_THROWS_AS(await(with_timeout(1ms, sleep_forever())), timed_out);
      const auto [first, second] = await(when_any(kit::give_after(5ms, 1), kit::give_after(1ms, 2)));
      CHECK_FALSE(first);
      CHECK(second == 2);
      auto late = as_result(with_timeout(1ms, sleep_forever()));
      CHECK_FALSE(await(std::move(late)).has_value());
    };
    co_await in_fiber(body);
  });
}

TEST_CASE("fiber: fibers and tasks share locks, channels and events") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex lock;
    event begin;
    channel<int> numbers(1);
    int inside = 0, most = 0, sum = 0;
    const auto enter = [&] { most = std::max(most, ++inside); };
    const auto in_a_fiber = [&] {
      await(begin.wait());
      for (int i = 0; i < 10; ++i) {
        const auto guard = await(lock.lock());
        enter();
        await(sleep_for(1ms));
        --inside;
        await(numbers.send(i));
      }
    };
    const auto in_a_task = [&]() -> task<> {
      co_await begin.wait();
      for (int i = 0; i < 10; ++i) {
        const auto guard = co_await lock.lock();
        enter();
        co_await sleep_for(1ms);
        --inside;
      }
    };
    const auto adds = [&] {
      for (int i = 0; i < 20; ++i) sum += *await(numbers.receive());
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&] { return in_fiber(in_a_fiber); });
      n.spawn([&] { return in_fiber(in_a_fiber); });
      n.spawn(in_a_task);
      n.spawn([&] { return in_fiber(adds); });
      co_await settle();
      begin.set();
    });
    CHECK(most == 1);
    CHECK(sum == 2 * 45);
  });
}

TEST_CASE("fiber: reads and writes streams, and accepts and connects") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection(4);
    const auto shouts = [](tcp_stream stream) {
      std::string heard;
      std::array<std::byte, 3> to;
      while (const std::size_t count = await(stream.read_some(to))) {
        heard.append(reinterpret_cast<const char*>(to.data()), count);
      }
      for (char& c : heard) c = static_cast<char>(std::toupper(c));
      await(stream.write_all(heard));
      return heard.size();
    };
    const auto asks = [](tcp_stream stream) -> task<std::string> {
      co_await stream.write_all("a question");
      co_await stream.shutdown_send();
      std::string answer(10, '\0');
      co_await stream.read_exactly(std::as_writable_bytes(std::span(answer)));
      co_return answer;
    };
    const auto [heard, answer] = co_await when_all(in_fiber(shouts, std::move(there)), asks(std::move(here)));
    CHECK(heard == 10);
    CHECK(answer == "A QUESTION");
  });
}

TEST_CASE("fiber: one may await another") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto inner = [](int x) {
      await(sleep_for(1ms));
      return x + 1;
    };
    const auto outer = [&](int x) {
      int result = await(in_fiber(inner, x));
      result = await(in_fiber(inner, result));
      return result;
    };
    const int result = co_await in_fiber(outer, 1);
    CHECK(result == 3);
  });
}

TEST_CASE("fiber: one that never waits lets the others have their turns at its awaits") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns = 0;
    const auto busy = [&] {
      for (int i = 0; i < 10'000; ++i) await(checkpoint());
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      auto counting = n.spawn([&] { return kit::count_turns(turns); });
      co_await in_fiber(busy);
      counting.cancel();
    });
    CHECK(turns >= 10'000 / detail::step_budget - 1);
  });
}

TEST_CASE("fiber: await outside of one is an error that names the way out") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string what;
    try {
      await(yield_now());
    } catch (const std::logic_error& e) {
      what = e.what();
    }
    CHECK(what.find("co_await") != std::string::npos);
    co_return;
  });
}

TEST_CASE("fiber: a dump shows where in the plain function it waits") {
  kit::in_every_order([](simulation&) -> task<> {
    const int line = __LINE__ + 1;
    const auto waits = [] { await(sleep_for(5ms)); };
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("in plain code"), [&] { return in_fiber(waits); });
      co_await settle();
      const std::string tree = dump_tasks();
      INFO(tree);
      CHECK(tree.find("\"in plain code\": sleep") != std::string::npos);
      CHECK(tree.find("test_fiber.cpp:" + std::to_string(line)) != std::string::npos);
    });
  });
}

TEST_CASE("fiber: stacks are used again, and stats() say how many there are and were") {
  kit::in_every_order([](simulation&) -> task<> {
    CHECK(this_scheduler().stats().fibers == 0);
    const auto body = [] { await(sleep_for(1ms)); };
    for (int round = 0; round < 3; ++round) {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 10; ++i) n.spawn([&] { return in_fiber(body); });
        co_await settle();
        CHECK(this_scheduler().stats().fibers == 10);
      });
    }
    CHECK(this_scheduler().stats().fibers == 0);
    CHECK(this_scheduler().stats().most_fibers == 10);
  });
}

TEST_CASE("fiber: the size of its stack is kept, rounded up, and must make sense") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto uses = [](std::size_t bytes) {
      const std::vector<char> unused;
      volatile char* at = static_cast<volatile char*>(__builtin_alloca(bytes));
      for (std::size_t i = 0; i < bytes; i += 512) at[i] = 1;
      await(yield_now());
      return static_cast<int>(at[0]);
    };
    const int one = co_await in_fiber(fiber::stack_size((1 << 20) + 1), uses, std::size_t{900'000});
    CHECK(one == 1);
    const auto nothing_at_all = [] {};
    std::string too_small;
    try {
      co_await in_fiber(fiber::stack_size(16 * 1024 - 1), nothing_at_all);
    } catch (const std::invalid_argument& e) {
      too_small = e.what();
    }
    CHECK(too_small.find("16383 bytes") != std::string::npos);
    for (const std::size_t size : {~std::size_t{0}, ~std::size_t{0} / 2, std::size_t{1} << 47}) {
      int error = 0;
      try {
        co_await in_fiber(fiber::stack_size(size), nothing_at_all);
      } catch (const os_error& e) {
        error = e.code().value();
      }
      CHECK(error == ENOMEM);
    }
  });
}

TEST_CASE("fiber: as many stacks are kept as was asked for, and of those the ones used last") {
  kit::in_every_order([](simulation&) -> task<> {
    constexpr std::size_t size = 8 << 20;
    const auto body = [] { await(yield_now()); };
    const auto run_twenty = [&](std::size_t stack) -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 20; ++i) n.spawn([&, stack] { return in_fiber(fiber::stack_size(stack), body); });
        co_return;
      });
    };
    for (const std::size_t most : {std::size_t{0}, std::size_t{3}, ~std::size_t{0}}) {
      fiber::keep_stacks(0);
      const std::size_t before = address_space();
      fiber::keep_stacks(most);
      co_await run_twenty(64 * 1024);
      co_await run_twenty(size);
      const std::size_t kept = (address_space() - before + size / 2) / size;
      CHECK(kept == std::min<std::size_t>(most, 20));
    }
    fiber::keep_stacks(0);
    fiber::keep_stacks(64);
  });
}

TEST_CASE("fiber: a hundred thousand are suspended at once, and joined; few of their stacks are kept") {
  if (sanitized) return kit::skip("a sanitizer keeps more for each stack than there is room for");
  if (!guards_are_free()) return kit::skip("before Linux 6.13 a process may not have that many mappings");
  static constexpr int many = 100'000;
  const std::size_t before = address_space();
  simulation world;
  run(world.how(), []() -> task<> {
    int ended = 0;
    event go;
    const auto body = [&] {
      await(go.wait());
      await(yield_now());
      ++ended;
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < many; ++i) n.spawn([&] { return in_fiber(fiber::stack_size(16 * 1024), body); });
      co_await settle();
      CHECK(this_scheduler().stats().fibers == many);
      go.set();
    });
    CHECK(ended == many);
    CHECK(this_scheduler().stats().most_fibers == many);
  });
  CHECK(address_space() < before + (64 << 20));
}

TEST_CASE("fiber: a hundred thousand after one another, a hundred at a time, need the stacks of a hundred") {
  static constexpr int rounds = sanitized ? 50 : 1'000;
  static constexpr int at_once = 100;
  simulation world;
  run(world.how(), []() -> task<> {
    int ended = 0;
    const auto body = [&] {
      await(yield_now());
      ++ended;
    };
    for (int round = 0; round < rounds; ++round) {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < at_once; ++i) n.spawn([&] { return in_fiber(body); });
        co_return;
      });
    }
    CHECK(ended == rounds * at_once);
    CHECK(this_scheduler().stats().most_fibers == at_once);
  });
}

TEST_CASE("fiber: one may end at any point of its budget, and others go on behind it") {
  for (int awaits = 0; awaits < 140; ++awaits) {
    bool first_ended = false, second_ended = false;
    run([&]() -> task<> {
      event set;
      set.set();
      const auto first = [&] {
        await(yield_now());
        for (int i = 0; i < awaits; ++i) await(set.wait());
        first_ended = true;
      };
      const auto second = [&] {
        for (int i = 0; i < 20; ++i) await(yield_now());
        second_ended = true;
      };
      const auto body = [&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { co_await in_fiber(std::ref(first)); });
        n.spawn([&]() -> task<> {
          co_await yield_now();
          co_await in_fiber(std::ref(second));
        });
        co_return;
      };
      co_await with_nursery(body);
    });
    REQUIRE(first_ended);
    REQUIRE(second_ended);
  }
}

TEST_CASE("fiber: a coroutine that runs inside of await_suspend leaves a fiber's stack alone, beside many tasks") {
  constexpr int tasks = 3000, rounds = 20;
  int yields = 0;
  run([&]() -> task<> {
    event e;
    const auto waits = [&] {
      auto nested = kit::wait_nested(e);
      await(nested);
    };
    const auto yields_on = [&yields]() -> task<> {
      for (int i = 0; i < rounds; ++i) {
        co_await yield_now();
        ++yields;
      }
    };
    const auto body = [&](nursery& n) -> task<> {
      for (int i = 0; i < tasks; ++i) n.spawn(std::ref(yields_on));
      n.spawn([&]() -> task<> { co_await in_fiber(std::ref(waits)); });
      for (int i = 0; i < rounds; ++i) co_await yield_now();
      e.set();
    };
    co_await with_nursery(body);
  });
  CHECK(yields == tasks * rounds);
}
