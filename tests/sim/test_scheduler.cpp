// Tests of ringlet/scheduler.hpp.
#include "kit/counted.hpp"
#include "kit/random.hpp"
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// The order in which ten tasks have their turns, ten times each.
std::string trace(std::optional<std::uint64_t> seed) {
  std::string log;
  simulation world;
  run(kit::with_order(world.how(), seed), [&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (char c = 'a'; c < 'k'; ++c) {
        n.spawn(
            [&log](char me) -> task<> {
              for (int i = 0; i < 10; ++i) {
                log += me;
                co_await yield_now();
              }
            },
            c);
      }
      co_return;
    });
  });
  return log;
}

/// The text of the deadlock that f runs into. More: how the world's options are changed.
template <class F>
std::string deadlock_text(F f, std::optional<std::uint64_t> seed = std::nullopt) {
  simulation world;
  try {
    run(kit::with_order(world.how(), seed), [&] { return f(world); });
  } catch (const deadlock_error& e) {
    return e.what();
  }
  return "no deadlock";
}

/// A thread that is joined at the end, whatever happens.
class helper {
 public:
  template <class F>
  explicit helper(F f) : thread_(std::move(f)) {}
  helper(const helper&) = delete;
  helper& operator=(const helper&) = delete;
  ~helper() { thread_.join(); }

 private:
  std::thread thread_;
};

}  // namespace

// --- Order

TEST_CASE("scheduler: without a seed ready tasks run first in, first out") {
  std::string expected;
  for (int i = 0; i < 10; ++i) expected += "abcdefghij";
  CHECK(trace(std::nullopt) == expected);
}

TEST_CASE("scheduler: the same seed gives the same trace, and different seeds give different ones") {
  std::set<std::string> traces;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::string first = trace(seed);
    CHECK(first == trace(seed));
    traces.insert(first);
  }
  CHECK(traces.size() == 20);
}

TEST_CASE("scheduler: shuffled or not, no task has two turns more than another one that is ready, too") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::string log = trace(seed);
    int turns[10] = {};
    for (const char c : log) {
      ++turns[c - 'a'];
      const auto [least, most] = std::minmax_element(std::begin(turns), std::end(turns));
      if (*most - *least > 2) FAIL(log);
    }
  }
}

TEST_CASE("scheduler: what becomes ready during a batch runs in the next one") {
  simulation world;
  std::string log;
  run(world.how(), [&]() -> task<> {
    event e;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await e.wait();
        log += "woken ";
      });
      co_await settle();
      n.spawn([&]() -> task<> {
        e.set();
        log += "set ";
        co_return;
      });
      n.spawn([&]() -> task<> {
        log += "next ";
        co_return;
      });
    });
  });
  CHECK(log == "set next woken ");
}

// --- post

TEST_CASE("scheduler: a post from another thread wakes a loop that waits") {
  kit::in_every_order([](simulation&) -> task<> {
    event called;
    const post_handle loop = this_scheduler().handle();
    std::thread::id ran_on;
    const helper other([&called, &ran_on, loop] {
      loop.post([&] {
        ran_on = std::this_thread::get_id();
        called.set();
      });
    });
    co_await called.wait();
    CHECK(ran_on == std::this_thread::get_id());
  });
}

TEST_CASE("scheduler: 1,000 posts of a thread run in order, each once") {
  kit::in_every_order([](simulation&) -> task<> {
    event all_here;
    std::vector<int> seen;
    const post_handle loop = this_scheduler().handle();
    const helper other([&all_here, &seen, loop] {
      for (int i = 0; i < 1000; ++i) loop.post([&seen, i] { seen.push_back(i); });
      loop.post([&all_here] { all_here.set(); });
    });
    co_await all_here.wait();
    REQUIRE(seen.size() == 1000);
    std::vector<int> expected(1000);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(seen == expected);
  });
}

TEST_CASE("scheduler: posts of several threads at once all arrive, in the order of each") {
  simulation world;
  run(world.how(), [&]() -> task<> {
    constexpr int threads = 4, posts = 2000;
    std::vector<std::vector<int>> seen(threads);
    semaphore finished(0);
    const post_handle loop = this_scheduler().handle();
    std::vector<std::unique_ptr<helper>> others;
    for (std::size_t who = 0; who < threads; ++who) {
      others.push_back(std::make_unique<helper>([&, who, loop] {
        for (int i = 0; i < posts; ++i) loop.post([&seen, who, i] { seen[who].push_back(i); });
        loop.post([&] { finished.release(); });
      }));
    }
    for (int i = 0; i < threads; ++i) co_await finished.acquire();
    for (const auto& of_one : seen) {
      REQUIRE(of_one.size() == posts);
      CHECK(std::is_sorted(of_one.begin(), of_one.end()));
    }
  });
}

TEST_CASE("scheduler: a post that comes when the loop has ended is refused, and its function destroyed, not run") {
  kit::tally t;
  std::optional<post_handle> loop;
  simulation world;
  run(world.how(), [&]() -> task<> {
    loop = this_scheduler().handle();
    co_return;
  });
  bool ran = false;
  const kit::balanced captured(t);
  const bool accepted = loop->post([&ran, captured] { ran = true; });
  CHECK_FALSE(accepted);
  CHECK_FALSE(ran);
  CHECK(t.alive == 1);
  const post_handle copy = *loop;
  loop.reset();
  CHECK_FALSE(copy.post([] {}));
}

TEST_CASE("scheduler: a reference to a loop that has ended still says so to who posts, on any thread") {
  bool ran = false;
  kit::tally t;
  for (int round = 0; round < 3; ++round) {
    const kit::balanced in_hook(t);
    scheduler* ended = nullptr;
    simulation world;
    run(world.how().stall_warning(1h, [in_hook](std::string_view) {}), [&]() -> task<> {
      ended = &this_scheduler();
      co_return;
    });
    CHECK(t.alive == 1);  // what the options of run() held is gone
    simulation next;
    run(next.how(), [&]() -> task<> {
      CHECK_FALSE(ended->post([&] { ran = true; }));
      co_return;
    });
    bool accepted_elsewhere = true;
    std::thread([&] { accepted_elsewhere = ended->post([&] { ran = true; }); }).join();
    CHECK_FALSE(accepted_elsewhere);
  }
  CHECK_FALSE(ran);
}

TEST_CASE("scheduler: of a thousand loops in a row each says that it has ended") {
  for (int i = 0; i < 1000; ++i) {
    simulation world;
    scheduler* ended = nullptr;
    run(world.how(), [&]() -> task<> {
      ended = &this_scheduler();
      co_return;
    });
    CHECK_FALSE(ended->post([] {}));
  }
}

TEST_CASE("scheduler: threads that post while the loop ends are told for each post whether it ran") {
  for (int round = 0; round < 30; ++round) {
    std::atomic<int> ran = 0, accepted = 0;
    std::atomic<bool> stop = false;
    std::optional<helper> other;
    simulation world;
    run(world.how(), [&]() -> task<> {
      const post_handle loop = this_scheduler().handle();
      other.emplace([&, loop] {
        while (!stop) {
          if (loop.post([&] { ++ran; })) ++accepted;
        }
      });
      while (ran < 10) co_await yield_now();
    });
    stop = true;
    other.reset();
    CHECK(ran == accepted);
  }
}

TEST_CASE("scheduler: a task may post, and the function runs outside of all tasks") {
  kit::in_every_order([](simulation&) -> task<> {
    bool outside = false;
    CHECK(this_scheduler().post([&] { outside = detail::current.task == nullptr; }));
    CHECK_FALSE(outside);
    co_await yield_now();
    CHECK(outside);
  });
}

TEST_CASE("scheduler: what was posted in the last turn still runs") {
  bool ran = false;
  simulation world;
  run(world.how(), [&]() -> task<> {
    this_scheduler().post([&] { ran = true; });
    co_return;
  });
  CHECK(ran);
}

TEST_CASE("scheduler: what a posted function throws comes out of run, once all tasks have unwound") {
  kit::tally t;
  simulation world;
  std::string caught;
  try {
    run(world.how(), [&]() -> task<> {
      const kit::balanced local(t);
      this_scheduler().post([] { throw std::runtime_error("posted"); });
      co_await sleep_forever();
    });
  } catch (const std::runtime_error& e) {
    caught = e.what();
  }
  CHECK(caught == "posted");
  CHECK(t.alive == 0);
}

TEST_CASE("scheduler: an error of a function that was posted in the last turn comes out of run as well") {
  simulation world;
  const auto posts_and_ends = []() -> task<> {
    this_scheduler().post([] { throw std::runtime_error("late"); });
    co_return;
  };
  CHECK_THROWS_AS(run(world.how(), posts_and_ends), std::runtime_error);
}

// --- Figures

TEST_CASE("scheduler: stats count tasks by what they do") {
  kit::in_every_order([](simulation&) -> task<> {
    CHECK(this_scheduler().stats().tasks_live == 1);
    CHECK(this_scheduler().stats().tasks_ready == 0);
    CHECK(this_scheduler().stats().tasks_waiting == 0);
    co_await with_nursery([](nursery& n) -> task<> {
      for (int i = 0; i < 3; ++i) n.spawn([]() -> task<> { co_await sleep_forever(); });
      CHECK(this_scheduler().stats().tasks_live == 4);
      CHECK(this_scheduler().stats().tasks_ready == 3);
      co_await settle();
      CHECK(this_scheduler().stats().tasks_ready == 0);
      CHECK(this_scheduler().stats().tasks_waiting == 3);
      n.cancel();
    });
    CHECK(this_scheduler().stats().tasks_live == 1);
  });
}

TEST_CASE("scheduler: stats count operations in flight, submissions, completions and turns") {
  kit::in_every_order(fault_plan().delay(1ms), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const statistics before = this_scheduler().stats();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await a.write_all("x"); });
      co_await settle();
      CHECK(this_scheduler().stats().in_flight == 1);
    });
    const statistics after = this_scheduler().stats();
    CHECK(after.in_flight == 0);
    CHECK(after.sqes == before.sqes + 1);
    CHECK(after.cqes == before.cqes + 1);
    CHECK(after.turns > before.turns);
    CHECK(after.enters > before.enters);
  });
}

TEST_CASE("scheduler: stats count functions that are out on threads") {
  kit::in_every_order([](simulation&) -> task<> {
    std::atomic<bool> release = false;
    thread_pool pool(1);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 2; ++i) {
        n.spawn([&]() -> task<> {
          co_await pool.run([&] {
            while (!release) std::this_thread::yield();
          });
        });
      }
      co_await yield_now();
      co_await yield_now();
      CHECK(this_scheduler().stats().offloads == 2);
      release = true;
    });
    CHECK(this_scheduler().stats().offloads == 0);
  });
}

TEST_CASE("scheduler: this_scheduler outside of run is an error, and the dump is empty") {
  CHECK_THROWS_AS(this_scheduler(), std::logic_error);
  CHECK(dump_tasks().empty());
}

// --- Deadlocks

TEST_CASE("scheduler: a deadlock is an error whose text is the tree of tasks with what each one waits for") {
  const std::string text = deadlock_text([](simulation& world) -> task<> {
    event e;
    mutex m;
    semaphore s(0);
    auto [a, b] = world.connection();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("waits for the event"), [&]() -> task<> { co_await e.wait(); });
      n.spawn(name("holds"), [&]() -> task<> {
        const auto guard = co_await m.lock();
        co_await sleep_forever();
      });
      co_await settle();
      n.spawn(name("locks"), [&]() -> task<> { const auto guard = co_await m.lock(); });
      n.spawn(name("acquires"), [&]() -> task<> { co_await s.acquire(); });
      auto parent = n.spawn(name("parent"), [&]() -> task<> {
        co_await with_nursery([&](nursery& inner) -> task<> {
          inner.spawn(name("grandchild"), [&]() -> task<> {
            std::array<std::byte, 1> buffer{};
            co_await a.read_some(buffer);
          });
          co_return;
        });
      });
      co_await parent;
    });
  });
  for (const char* part : {"deadlock", "\"waits for the event\": wait for an event", "\"locks\": lock a mutex",
                           "\"acquires\": acquire a semaphore", "\"holds\": sleep", "\"parent\": wait for its children",
                           "task 1: join task 6", "test_scheduler.cpp:"}) {
    CHECK_THAT(text, kit::contains(part));
  }
  CHECK(text.find("nursery.hpp") == std::string::npos);  // the user's own frames, and not ringlet's
  CHECK_THAT(text, kit::contains("\n    task 7 \"grandchild\": receive fd "));  // two levels below the root
}

TEST_CASE("scheduler: a deadlock unwinds all tasks, and the thread can run another loop") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    kit::tally t;
    const std::string text = deadlock_text(
        [&](simulation&) -> task<> {
          event e;
          co_await with_nursery([&](nursery& n) -> task<> {
            for (int i = 0; i < 5; ++i) {
              n.spawn([&]() -> task<> {
                const kit::balanced local(t);
                co_await e.wait();
              });
            }
            co_return;
          });
        },
        seed);
    CHECK_THAT(text, kit::contains("wait for an event"));
    CHECK(t.made == 5);
    CHECK(t.alive == 0);
  }
  simulation world;
  CHECK(run(world.how(), []() -> task<int> { co_return 1; }) == 1);
}

TEST_CASE("scheduler: a deadlock under a shield, and then in the clean-up, is unwound as well") {
  int unwound = 0;
  const std::string text = deadlock_text([&](simulation&) -> task<> {
    event e;
    const auto wait = [&]() -> task<> {
      try {
        co_await e.wait();
      } catch (const cancelled&) {
        ++unwound;
        throw;
      }
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("shielded"), [&]() -> task<> { co_await shield(wait()); });
      n.spawn(name("cleans up"), [&]() -> task<> { co_await finally(wait(), wait); });
      co_await wait();
    });
  });
  CHECK_THAT(text, kit::contains("\"shielded\": wait for an event"));
  CHECK(unwound == 4);
}

TEST_CASE("scheduler: a task that awaits its own job is a deadlock, not a hang") {
  const std::string text = deadlock_text([](simulation&) -> task<> {
    std::optional<job<void>> self;
    co_await with_nursery([&](nursery& n) -> task<> {
      self = n.spawn(name("self"), [&]() -> task<> { co_await *self; });
      co_return;
    });
  });
  CHECK_THAT(text, kit::contains("\"self\": join task 2"));
}

TEST_CASE("scheduler: what the tasks threw while they unwound does not hide the deadlock") {
  const std::string text = deadlock_text([](simulation&) -> task<> {
    event e;
    bool was_cancelled = false;
    try {
      co_await e.wait();
    } catch (const cancelled&) {
      was_cancelled = true;
    }
    if (was_cancelled) throw std::runtime_error("clean-up");
  });
  CHECK_THAT(text, kit::contains("wait for an event"));
}

TEST_CASE("scheduler: a timer, an operation and a function on a thread are reasons to wait, and no deadlock") {
  kit::in_every_order([](simulation& world) -> task<> {
    co_await sleep_for(1000h);
    const unique_fd fd = world.blank();
    world.script(operation::read, fd.get(), 0, 1000h);
    std::array<std::byte, 1> buffer{};
    const std::size_t got = co_await read_some(fd.get(), buffer);
    CHECK(got == 0);
    const int value = co_await offload([] { return 3; });
    CHECK(value == 3);
  });
}

TEST_CASE("scheduler: while a post_handle exists there is no deadlock; when the last one goes, there is") {
  std::optional<helper> other;
  std::atomic<bool> waited = false;
  const std::string text = deadlock_text([&](simulation&) -> task<> {
    event e;
    other.emplace([&waited, loop = std::make_unique<post_handle>(this_scheduler().handle())]() mutable {
      std::this_thread::sleep_for(20ms);  // the loop waits meanwhile, and must not give up
      waited = true;
      loop.reset();
    });
    co_await e.wait();
  });
  CHECK_THAT(text, kit::contains("wait for an event"));
  CHECK(waited);
}

TEST_CASE("scheduler: a dump tells since when a task waits, by the loop's clock") {
  const std::string text = deadlock_text([](simulation& world) -> task<> {
    const unique_fd fd = world.blank();
    world.script(operation::read, fd.get(), 0, 100s);
    event e;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("from the beginning"), [&]() -> task<> { co_await e.wait(); });
      std::array<std::byte, 1> buffer{};
      co_await read_some(fd.get(), buffer);
      n.spawn(name("from now on"), [&]() -> task<> { co_await e.wait(); });
    });
  });
  CHECK_THAT(text, kit::contains("\"from the beginning\": wait for an event for 100.0 s"));
  CHECK_THAT(text, kit::contains("\"from now on\": wait for an event for 0.0 s"));
}

TEST_CASE("scheduler: a dump shows tasks that run, are ready, or have not begun") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      n.spawn(name("new"), []() -> task<> { co_return; });
      const std::string text = dump_tasks();
      CHECK_THAT(text, kit::contains("task 1: running"));
      CHECK_THAT(text, kit::contains("\"new\": not started"));
      event e;
      auto woken = n.spawn(name("woken"), [&]() -> task<> { co_await e.wait(); });
      co_await settle();
      e.set();
      woken.cancel();
      CHECK_THAT(dump_tasks(), kit::contains("\"woken\": ready (cancelled)"));
      co_await woken;
    });
  });
}
