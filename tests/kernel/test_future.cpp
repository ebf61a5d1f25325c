// Tests on the kernel: futures, thread_pool::submit() and map(), from loops and from threads without one.
#include "kernel.hpp"

#include <atomic>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <semaphore>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

using namespace kernel;

namespace {

int twice(int x) {
  return 2 * x;
}

/// Keeps a worker busy until it is let go.
class gate {
 public:
  auto holder() {
    return [this] {
      entered_.release();
      open_.acquire();
    };
  }
  void await_holder() { entered_.acquire(); }
  void open() { open_.release(); }

 private:
  std::binary_semaphore entered_{0};
  std::binary_semaphore open_{0};
};

template <class Error, class Body>
task<bool> throws(Body body) {
  try {
    co_await body();
  } catch (const Error&) {
    co_return true;
  }
  co_return false;
}

template <class Error, class Call>
bool fails_with(Call call) {
  try {
    call();
  } catch (const Error&) {
    return true;
  }
  return false;
}

}  // namespace

// --- Results

TEST_CASE("future: gives the result to each who awaits it, before and after it is done") {
  in_time([]() -> task<> {
    thread_pool pool(2);
    auto f = pool.submit(twice, 21);
    const int first = co_await f;
    CHECK(first == 42);
    CHECK(f.done());
    CHECK_FALSE(f.running());
    CHECK_FALSE(f.was_cancelled());
    const int second = co_await f;
    CHECK(second == 42);
    CHECK(f.get() == 42);
    const int given_away = co_await std::move(f);
    CHECK(given_away == 42);

    auto text = pool.submit([] { return std::string("given away once"); });
    event taken;
    text.on_done([&](future<std::string>& done) {
      CHECK(std::move(done).get() == "given away once");
      taken.set();
    });
    co_await taken.wait();
    const bool refused = co_await throws<std::logic_error>([&]() -> task<> { co_await text; });
    CHECK(refused);
  });
}

TEST_CASE("future: one with a name goes into whatever takes an awaitable, and stays usable") {
  thread_pool pool(2);
  in_time([&]() -> task<> {
    auto six = pool.submit(twice, 3);
    auto eight = pool.submit(twice, 4);
    const int in_time = co_await with_timeout(time_limit, six);
    const auto moved_on = co_await move_on_after(time_limit, six);
    const int shielded = co_await shield(six);
    const auto as_value = co_await as_result(six);
    CHECK((in_time == 6 && moved_on == 6 && shielded == 6 && as_value.value() == 6));
    const auto both = co_await when_all(six, eight);
    CHECK(both == std::tuple(6, 8));
    const auto first = co_await when_any(six, eight);
    CHECK((std::get<0>(first) == 6 || std::get<1>(first) == 8));
    gate busy;
    auto late = pool.submit(busy.holder());
    const bool done = co_await move_on_after(1ms, late);
    CHECK_FALSE(done);
    busy.open();
    co_await late;
  });
}

TEST_CASE("future: nothing, references, and what can only be moved") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    auto nothing = pool.submit([] {});
    co_await nothing;
    co_await nothing;

    static int target = 7;
    auto reference = pool.submit([]() -> int& { return target; });
    int& got = co_await reference;
    CHECK(&got == &target);

    auto unique = pool.submit([] { return std::make_unique<int>(5); });
    const auto pointer = co_await unique;
    CHECK(*pointer == 5);
    const bool refused = co_await throws<std::logic_error>([&]() -> task<> { co_await unique; });
    CHECK(refused);
  });
}

TEST_CASE("future: an exception keeps its type, and comes out each time") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    auto f = pool.submit([]() -> int { throw std::out_of_range("too far"); });
    for (int i = 0; i < 2; ++i) {
      const bool thrown = co_await throws<std::out_of_range>([&]() -> task<> { co_await f; });
      CHECK(thrown);
    }
    CHECK(fails_with<std::out_of_range>([&] { f.get(); }));
    CHECK(f.done());
    const int next = co_await pool.run(twice, 4);
    CHECK(next == 8);
  });
}

TEST_CASE("future: several tasks, and several loops, may wait for one") {
  thread_pool pool(1);
  gate busy;
  auto held = pool.submit(busy.holder());
  busy.await_holder();
  auto f = pool.submit(twice, 3);
  std::atomic<int> sum{0}, waiting{0};
  std::jthread opener([&] {
    while (waiting < 4) std::this_thread::yield();
    busy.open();
  });
  const auto two_tasks = [&]() -> task<> {
    const auto wait = [&]() -> task<> {
      ++waiting;
      sum += co_await f;
    };
    co_await when_all(wait(), wait());
  };
  run_on_threads(2, [&]() -> task<> { co_await with_timeout(time_limit, two_tasks()); });
  CHECK(sum == 24);
  CHECK(held.done());
}

TEST_CASE("future: threads without a loop submit, ask and wait") {
  thread_pool pool(2);
  auto f = pool.submit(twice, 10);
  CHECK(f.get() == 20);
  CHECK(f.get() == 20);
  auto text = pool.submit([] { return std::string("a text that is too long to be stored inside the string"); });
  CHECK(std::move(text).get().size() == 54);
  std::vector<std::jthread> threads;
  auto slow = pool.submit([] {
    std::this_thread::sleep_for(5ms);
    return 9;
  });
  std::atomic<int> sum{0};
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { sum += slow.get(); });
  threads.clear();
  CHECK(sum == 36);
}

TEST_CASE("future: get() on a loop's thread is an error while it would have to wait") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    gate busy;
    auto f = pool.submit(busy.holder());
    CHECK(fails_with<std::logic_error>([&] { f.get(); }));
    busy.open();
    co_await f;
    f.get();
  });
}

TEST_CASE("future: of those that nobody asks the function runs all the same") {
  std::atomic<int> ran{0};
  {
    thread_pool pool(2);
    in_time([&]() -> task<> {
      for (int i = 0; i < 100; ++i) static_cast<void>(pool.submit([&] { ++ran; }));
      co_return;
    });
  }
  CHECK(ran == 100);
}

// --- Cancelling

TEST_CASE("future: one that has not begun can be cancelled, and one that runs goes on") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    gate busy;
    bool ran = false;
    auto first = pool.submit(busy.holder());
    auto second = pool.submit([&] { ran = true; });
    busy.await_holder();
    CHECK(first.running());
    CHECK_FALSE(second.running());
    CHECK_FALSE(first.cancel());
    CHECK(second.cancel());
    CHECK(second.done());
    CHECK(second.was_cancelled());
    CHECK_FALSE(second.cancel());
    busy.open();
    co_await first;
    CHECK_FALSE(first.was_cancelled());
    CHECK_FALSE(first.cancel());
    const bool thrown = co_await throws<task_cancelled>([&]() -> task<> { co_await second; });
    CHECK(thrown);
    CHECK(fails_with<task_cancelled>([&] { second.get(); }));
    CHECK_FALSE(ran);
  });
}

TEST_CASE("future: cancelling wakes who waits for it") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    gate busy;
    auto first = pool.submit(busy.holder());
    auto second = pool.submit(twice, 1);
    busy.await_holder();
    int woken = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 3; ++i) {
        n.spawn([&]() -> task<> {
          const bool thrown = co_await throws<task_cancelled>([&]() -> task<> { co_await second; });
          woken += thrown ? 1 : 0;
        });
      }
      co_await sleep_for(1ms);
      CHECK(second.cancel());
    });
    CHECK(woken == 3);
    busy.open();
    co_await first;
  });
}

TEST_CASE("future: a function that takes a stop_token is told, and what it makes of that counts") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    std::binary_semaphore begun(0);
    const auto until_stopped = [&](std::stop_token stop, bool give_up) {
      begun.release();
      while (!stop.stop_requested()) std::this_thread::yield();
      if (give_up) throw cancelled{};
      return 5;
    };
    auto gives = pool.submit(until_stopped, false);
    begun.acquire();
    CHECK_FALSE(gives.cancel());
    const int value = co_await gives;
    CHECK(value == 5);
    auto gives_up = pool.submit(until_stopped, true);
    begun.acquire();
    CHECK_FALSE(gives_up.cancel());
    const bool thrown = co_await throws<task_cancelled>([&]() -> task<> { co_await gives_up; });
    CHECK(thrown);
    CHECK(gives_up.was_cancelled());
  });
}

TEST_CASE("future: a cancelled wait leaves the function alone") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    gate busy;
    auto f = pool.submit(busy.holder());
    const auto wait = [&]() -> task<> { co_await f; };
    for (int i = 0; i < 10; ++i) {
      const bool in_time = co_await move_on_after(100us, wait());
      CHECK_FALSE(in_time);
    }
    cancel_scope closed;
    closed.cancel();
    busy.open();
    co_await f;
    const bool waited = co_await closed.run(wait());
    CHECK_FALSE(waited);
  });
}

TEST_CASE("future: waits that end as the function does, by whichever side") {
  in_time([]() -> task<> {
    thread_pool pool(2);
    int got = 0, gave_up = 0;
    for (int i = 0; i < 3000; ++i) {
      auto f = pool.submit(twice, 1);
      const auto wait = [&]() -> task<int> { co_return co_await f; };
      const auto value = co_await move_on_after(std::chrono::microseconds(i % 40), wait());
      value ? ++got : ++gave_up;
      if (value) CHECK(*value == 2);
      if (i % 3 == 0) f.cancel();
    }
    CHECK(got + gave_up == 3000);
  });
}

// --- Callbacks

TEST_CASE("future: on_done calls back on the loop, once, before or after the end") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    const auto here = std::this_thread::get_id();
    auto f = pool.submit(twice, 8);
    std::vector<int> seen;
    event first, both;
    const auto note = [&](future<int>& done) {
      CHECK(std::this_thread::get_id() == here);
      CHECK(done.done());
      seen.push_back(done.get());
    };
    f.on_done([&](future<int>& done) {
      note(done);
      first.set();
    });
    co_await first.wait();
    f.on_done(note);
    CHECK(seen.size() == 1);  // the second one is for the next turn
    f.on_done([&] { both.set(); });
    co_await both.wait();
    CHECK(seen == std::vector<int>{16, 16});
  });
}

TEST_CASE("future: a callback hears of a cancellation, too") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    gate busy;
    auto first = pool.submit(busy.holder());
    auto second = pool.submit(twice, 1);
    busy.await_holder();
    event told;
    second.on_done([&](future<int>& f) {
      CHECK(f.was_cancelled());
      told.set();
    });
    CHECK(second.cancel());
    co_await told.wait();
    busy.open();
    co_await first;
  });
}

TEST_CASE("future: what a callback throws ends run()") {
  thread_pool pool(1);
  const auto main_task = [&]() -> task<> {
    auto f = pool.submit(twice, 1);
    f.on_done([] { throw std::runtime_error("called back"); });
    co_await sleep_forever();
  };
  CHECK_THROWS_AS(run(main_task), std::runtime_error);
  CHECK(pool.submit(twice, 2).get() == 4);
}

TEST_CASE("future: a callback whose loop has ended is destroyed, and not called") {
  thread_pool pool(1);
  gate busy;
  const auto owned = std::make_shared<int>(1);
  bool called = false;
  std::optional<future<void>> f;
  in_time([&]() -> task<> {
    f = pool.submit(busy.holder());
    f->on_done([&called, owned] { called = true; });
    co_return;
  });
  CHECK(owned.use_count() == 2);
  busy.open();
  f->get();
  pool.shutdown();
  CHECK(owned.use_count() == 1);
  CHECK_FALSE(called);
}

TEST_CASE("future: a callback that is asked for while the loop ends is called or destroyed, and nothing leaks") {
  thread_pool pool(1);
  auto done = pool.submit(twice, 3);
  CHECK(done.get() == 6);
  const auto owned = std::make_shared<int>(1);
  in_time([&]() -> task<> {
    this_scheduler().post([&] { done.on_done([owned] {}); });
    co_return;
  });
  CHECK(owned.use_count() == 1);
}

// --- Pools

TEST_CASE("thread_pool: never runs more at once than it has workers, and begins in the order of asking") {
  in_time([]() -> task<> {
    for (const std::size_t workers : {1u, 3u}) {
      thread_pool pool(workers);
      std::atomic<std::size_t> inside{0}, most{0};
      std::mutex guard;
      std::vector<int> begun;
      std::vector<future<void>> all;
      for (int i = 0; i < static_cast<int>(15 * workers); ++i) {
        all.push_back(pool.submit([&, i] {
          {
            const std::lock_guard lock(guard);
            begun.push_back(i);
          }
          const std::size_t now = ++inside;
          for (std::size_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
          std::this_thread::sleep_for(200us);
          --inside;
        }));
      }
      for (auto& f : all) co_await f;
      CHECK(most <= workers);
      if (workers == 1) CHECK(std::is_sorted(begun.begin(), begun.end()));
      CHECK(begun.size() == 15 * workers);
    }
  });
}

TEST_CASE("thread_pool: submit() after shutdown() is an error, and what was submitted before has run") {
  thread_pool pool(1);
  auto before = pool.submit(twice, 1);
  pool.shutdown();
  CHECK(before.done());
  CHECK(before.get() == 2);
  CHECK(fails_with<std::logic_error>([&] { static_cast<void>(pool.submit(twice, 1)); }));
}

TEST_CASE("thread_pool: a function that waits for one of its own pool, which has a single worker, runs it itself") {
  thread_pool pool(1);
  auto outer = pool.submit([&] {
    auto middle = pool.submit([&] { return 1 + pool.submit(twice, 20).get(); });
    return 1 + middle.get();
  });
  CHECK(outer.get() == 42);
  auto with_loop = pool.submit([&] { return run([&]() -> task<int> { co_return co_await pool.submit(twice, 4); }); });
  CHECK(with_loop.get() == 8);
}

TEST_CASE("thread_pool: when all workers wait for their own pool, the last one is told") {
  thread_pool pool(2);
  std::binary_semaphore begun(0);
  auto outer = pool.submit([&] {
    auto inner = pool.submit([&] {
      begun.release();
      return run([&]() -> task<int> { co_return co_await pool.run(twice, 1); });
    });
    begun.acquire();  // the other worker has it
    return inner.get();
  });
  CHECK(fails_with<std::logic_error>([&] { outer.get(); }));
  CHECK(pool.submit(twice, 4).get() == 8);
}

TEST_CASE("thread_pool: a loop on a worker goes on while it waits for a future of its own pool") {
  thread_pool pool(2);
  auto outer = pool.submit([&] {
    return run([&]() -> task<int> {
      auto slow = pool.submit([] { std::this_thread::sleep_for(200ms); });
      int ticks = 0;
      const auto wait = [&]() -> task<> { co_await slow; };
      while (!co_await move_on_after(1ms, wait())) ++ticks;
      co_return ticks;
    });
  });
  CHECK(outer.get() > 5);
}

TEST_CASE("thread_pool: functions that submit and wait for others, many at once, all end") {
  thread_pool pool(3);
  std::function<int(int)> fib = [&](int n) -> int {
    if (n < 2) return n;
    auto other = pool.submit(fib, n - 2);
    return fib(n - 1) + other.get();
  };
  CHECK(pool.submit(fib, 15).get() == 610);
}

// --- map

TEST_CASE("thread_pool::map gives the results in the order of the items") {
  in_time([]() -> task<> {
    thread_pool pool(3);
    std::vector<int> items(500);
    std::iota(items.begin(), items.end(), 0);
    const auto slow_first = [](int x) {
      if (x % 50 == 0) std::this_thread::sleep_for(1ms);
      return std::to_string(x);
    };
    const std::vector<std::string> texts = co_await pool.map(slow_first, items);
    REQUIRE(texts.size() == items.size());
    for (int x : items) CHECK(texts[static_cast<std::size_t>(x)] == std::to_string(x));
    const auto none = co_await pool.map(slow_first, std::vector<int>());
    CHECK(none.empty());
    std::atomic<int> sum{0};
    const std::set<int> few = {1, 2, 3};
    const auto nothings = co_await pool.map([&](int x) { sum += x; }, few);
    CHECK(nothings.size() == 3);
    CHECK(sum == 6);
  });
}

TEST_CASE("thread_pool::map: the first error comes out, and what had not begun never begins") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    std::atomic<int> ran{0};
    const auto fail_at_three = [&](int x) {
      ++ran;
      if (x == 3) throw std::out_of_range("three");
      if (x > 3) std::this_thread::sleep_for(1ms);
      return x;
    };
    std::vector<int> items(1000);
    std::iota(items.begin(), items.end(), 0);
    const bool thrown =
        co_await throws<std::out_of_range>([&]() -> task<> { co_await pool.map(fail_at_three, items); });
    CHECK(thrown);
    CHECK(ran < 900);
    CHECK(this_scheduler().stats().offloads == 0);
  });
}

TEST_CASE("thread_pool::map: when it is cancelled, what runs ends, is told, and the rest never begins") {
  in_time([]() -> task<> {
    thread_pool pool(2);
    std::atomic<int> begun{0}, ended{0}, told{0};
    const auto work = [&](std::stop_token stop, int) {
      ++begun;
      for (int i = 0; i < 2000 && !stop.stop_requested(); ++i) std::this_thread::sleep_for(1ms);
      told += stop.stop_requested() ? 1 : 0;
      ++ended;
    };
    const auto all = co_await move_on_after(5ms, pool.map(work, std::vector<int>(50)));
    CHECK_FALSE(all.has_value());
    CHECK(begun == ended);
    CHECK(told == begun);
    CHECK(begun <= 2);
    CHECK(pool.queued() == 0);
    const int after = co_await pool.run(twice, 2);
    CHECK(after == 4);
  });
}

TEST_CASE("thread_pool::map: on a pool that was shut down is an error") {
  in_time([]() -> task<> {
    thread_pool pool(1);
    pool.shutdown();
    const std::vector<int> items(2);
    const bool thrown = co_await throws<std::logic_error>([&]() -> task<> { co_await pool.map(twice, items); });
    CHECK(thrown);
  });
}

// --- as_completed

TEST_CASE("as_completed: futures come as they are done, and then no more") {
  in_time([]() -> task<> {
    thread_pool pool(4);
    std::vector<future<int>> all;
    const auto give_after = [](std::chrono::milliseconds delay, int value) {
      std::this_thread::sleep_for(delay);
      return value;
    };
    all.push_back(pool.submit(give_after, 400ms, 3));
    all.push_back(pool.submit(give_after, 0ms, 1));
    all.push_back(pool.submit(give_after, 200ms, 2));
    co_await sleep_for(5ms);
    auto ended = as_completed(std::move(all));
    std::vector<int> order;
    while (auto next = co_await ended.next()) {
      CHECK(next->done());
      order.push_back(next->get());
    }
    CHECK(order == std::vector<int>{1, 2, 3});
    const auto more = co_await ended.next();
    CHECK_FALSE(more.has_value());
  });
}

TEST_CASE("as_completed: a thousand futures, failed and cancelled ones among them, come once each") {
  in_time([]() -> task<> {
    thread_pool pool(2);
    std::vector<future<int>> all;
    for (int i = 0; i < 1000; ++i) {
      all.push_back(pool.submit([i] {
        if (i % 10 == 0) throw std::runtime_error("every tenth");
        return i;
      }));
      if (i % 7 == 0) all.back().cancel();
    }
    auto ended = as_completed(std::move(all));
    int values = 0, errors = 0, cancelled_ones = 0;
    while (auto next = co_await ended.next()) {
      try {
        static_cast<void>(next->get());
        ++values;
      } catch (const task_cancelled&) {
        ++cancelled_ones;
      } catch (const std::runtime_error&) {
        ++errors;
      }
    }
    CHECK(values + errors + cancelled_ones == 1000);
    CHECK(values >= 900 - 143);
    CHECK(errors <= 100);
  });
}

TEST_CASE("as_completed: the stream of futures may go before they are done") {
  thread_pool pool(1);
  gate busy;
  in_time([&]() -> task<> {
    std::vector<future<void>> all;
    all.push_back(pool.submit(busy.holder()));
    {
      auto ended = as_completed(std::move(all));
      const auto none = co_await move_on_after(1ms, ended.next());
      CHECK_FALSE(none.has_value());
    }
    busy.open();
    co_await sleep_for(1ms);
  });
}
