// Tests of what every awaitable has in common: a table of all of them, each cancelled, timed out and not even begun.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// What the rows of the table wait for. All of it stays as it is, so each wait lasts until somebody ends it.
struct surroundings {
  explicit surroundings(simulation& w)
      : world(w), quiet(w.connection()), full(w.connection(10)), listener(w.listener()), line(quiet.second) {}

  simulation& world;
  event never_set;
  mutex locked;
  semaphore empty{0};
  bounded_semaphore taken{1};
  mutex free;
  condition_variable unchanged;
  recursive_mutex locked_again;
  barrier too_few{2};
  latch never_zero{1};
  queue<int> full_queue{1};
  queue<int> empty_queue{1};
  channel<int> unused{0};
  std::optional<job<int>> endless;
  std::pair<tcp_stream, tcp_stream> quiet;
  std::pair<tcp_stream, tcp_stream> full;
  std::pair<memory_stream, memory_stream> in_memory = memory_stream_pair(10);  // the first end cannot send, nor receive
  tcp_listener listener;
  line_reader<tcp_stream> line;
  std::array<std::byte, 16> buffer{};
};

struct row {
  std::string name;
  std::function<task<>(surroundings&)> wait;
  std::function<task<>(surroundings&)> wait_in_fiber = nullptr;  // none: as `wait`
};

template <class Make>
row waits(const char* name, Make make) {
  row r{name, [make](surroundings& s) -> task<> { static_cast<void>(co_await make(s)); }};
#if TEST_FIBERS
  r.wait_in_fiber = [make](surroundings& s) -> task<> {
    const auto body = [&] { static_cast<void>(fiber::await(make(s))); };
    co_await in_fiber(body);
  };
#endif
  return r;
}

task<> wait_in_nursery(nursery& n) {
  n.spawn([]() -> task<> { co_await sleep_forever(); });
  n.spawn([]() -> task<> { co_await sleep_for(1h); });
  co_return;
}

const std::string more_than_fits(100, 'x');

async_generator<int> generate_slowly(event& never_set) {
  co_await never_set.wait();
  co_yield 1;
}

async_generator<int> end_slowly() {
  try {
    co_yield 1;
  } catch (const cancelled&) {
  }
  co_await sleep_forever();
}

std::vector<row> rows_for_tasks() {
  std::vector<row> rows;
  rows.push_back(waits("sleep_for", [](surroundings&) { return sleep_for(1h); }));
  rows.push_back(waits("sleep_until", [](surroundings& s) { return sleep_until(s.world.clock().now() + 1h); }));
  rows.push_back(waits("sleep_forever", [](surroundings&) { return sleep_forever(); }));
  rows.push_back({"ticker::next", [](surroundings&) -> task<> {
                    ticker hourly(1h);
                    co_await hourly.next();
                  }});
  rows.push_back(waits("event::wait", [](surroundings& s) { return s.never_set.wait(); }));
  rows.push_back(waits("mutex::lock", [](surroundings& s) { return s.locked.lock(); }));
  rows.push_back(waits("semaphore::acquire", [](surroundings& s) { return s.empty.acquire(); }));
  rows.push_back(waits("bounded_semaphore::acquire", [](surroundings& s) { return s.taken.acquire(); }));
  rows.push_back({"condition_variable::wait", [](surroundings& s) -> task<> {
                    auto guard = co_await s.free.lock();
                    co_await s.unchanged.wait(guard);
                  }});
  rows.push_back(waits("recursive_mutex::lock", [](surroundings& s) { return s.locked_again.lock(); }));
  rows.push_back(waits("barrier::arrive_and_wait", [](surroundings& s) { return s.too_few.arrive_and_wait(); }));
  rows.push_back(waits("latch::wait", [](surroundings& s) { return s.never_zero.wait(); }));
  rows.push_back(waits("queue::put", [](surroundings& s) { return s.full_queue.put(2); }));
  rows.push_back(waits("queue::get", [](surroundings& s) { return s.empty_queue.get(); }));
  rows.push_back(waits("queue::join", [](surroundings& s) { return s.full_queue.join(); }));
  rows.push_back(waits("channel::send", [](surroundings& s) { return s.unused.send(1); }));
  rows.push_back(waits("channel::receive", [](surroundings& s) { return s.unused.receive(); }));
  rows.push_back(waits("job", [](surroundings& s) { return *s.endless; }));
  rows.push_back({"as_completed", [](surroundings& s) -> task<> {
                    auto ended = as_completed(std::vector<job<int>>(2, *s.endless));
                    co_await ended.next();
                  }});
  rows.push_back({"pipeline", [](surroundings&) -> task<> {
                    const auto slow = [](int x) -> task<int> {
                      co_await sleep_for(1h);
                      co_return x;
                    };
                    const auto forget = [](int) {};
                    co_await (from(std::vector<int>(3)) | stage(slow, 2) | for_each(forget));
                  }});
  rows.push_back({"async_generator::next", [](surroundings& s) -> task<> {
                    async_generator<int> values = generate_slowly(s.never_set);
                    co_await values.next();
                  }});
  rows.push_back({"async_generator::close", [](surroundings&) -> task<> {
                    async_generator<int> values = end_slowly();
                    co_await shield(values.next());
                    co_await values.close();
                    co_await checkpoint();  // close() leaves it to the next await
                  }});
  rows.push_back(waits("with_nursery", [](surroundings&) { return with_nursery(wait_in_nursery); }));
  rows.push_back(waits("when_all", [](surroundings& s) { return when_all(s.never_set.wait(), sleep_for(1h)); }));
  rows.push_back(waits("when_any", [](surroundings& s) { return when_any(s.never_set.wait(), sleep_for(1h)); }));
  rows.push_back(waits("as_result", [](surroundings& s) { return as_result(s.quiet.second.read_some(s.buffer)); }));
  rows.push_back(waits("with_timeout", [](surroundings& s) { return with_timeout(1h, s.never_set.wait()); }));
  rows.push_back(waits("with_deadline", [](surroundings& s) { return with_deadline(never, s.never_set.wait()); }));
  rows.push_back(waits("move_on_after", [](surroundings& s) { return move_on_after(1h, s.never_set.wait()); }));
  rows.push_back({"cancel_scope::run", [](surroundings& s) -> task<> {
                    cancel_scope scope;
                    co_await scope.run([&]() -> task<> { co_await s.never_set.wait(); });
                  }});
  rows.push_back(waits("finally", [](surroundings& s) { return finally(s.never_set.wait(), sleep_for(1ms)); }));
  rows.push_back(waits("read_some", [](surroundings& s) { return s.quiet.first.read_some(s.buffer); }));
  rows.push_back(waits("read_exactly", [](surroundings& s) { return s.quiet.first.read_exactly(s.buffer); }));
  rows.push_back(waits(
      "write_some", [](surroundings& s) { return s.full.first.write_some(std::as_bytes(std::span(more_than_fits))); }));
  rows.push_back(waits("write_all", [](surroundings& s) { return s.full.first.write_all(more_than_fits); }));
  rows.push_back(
      waits("memory_stream::read_some", [](surroundings& s) { return s.in_memory.first.read_some(s.buffer); }));
  rows.push_back(
      waits("memory_stream::read_exactly", [](surroundings& s) { return s.in_memory.first.read_exactly(s.buffer); }));
  rows.push_back(waits("memory_stream::receive", [](surroundings& s) { return s.in_memory.first.receive(); }));
  rows.push_back(waits("memory_stream::write_some", [](surroundings& s) {
    return s.in_memory.first.write_some(std::as_bytes(std::span(more_than_fits)));
  }));
  rows.push_back(
      waits("memory_stream::write_all", [](surroundings& s) { return s.in_memory.first.write_all(more_than_fits); }));
  rows.push_back(waits("line_reader::next", [](surroundings& s) { return s.line.next(); }));
  rows.push_back(waits("accept", [](surroundings& s) { return s.listener.accept(); }));
  rows.push_back(waits("readable", [](surroundings& s) { return readable(s.quiet.first.fd()); }));
  rows.push_back(waits("writable", [](surroundings& s) { return writable(s.full.first.fd()); }));
  rows.push_back(waits("poll", [](surroundings& s) { return poll(s.quiet.first.fd(), POLLIN); }));
  rows.push_back(
      waits("read_some of a descriptor", [](surroundings& s) { return read_some(s.quiet.first.fd(), s.buffer); }));
  rows.push_back(waits("write_some of a descriptor", [](surroundings& s) {
    return write_some(s.full.first.fd(), std::as_bytes(std::span(more_than_fits)));
  }));
  return rows;
}

/// All of them, in tasks and in fibers.
std::vector<row> all_rows() {
  std::vector<row> rows = rows_for_tasks();
  const std::size_t in_tasks = rows.size();
  for (std::size_t i = 0; i < in_tasks; ++i) {
    if (rows[i].wait_in_fiber) rows.push_back({rows[i].name + " in a fiber", rows[i].wait_in_fiber});
  }
  return rows;
}

/// Prepares the surroundings, calls body(surroundings, row) for each row in turn, and ends what helped.
template <class Body>
void for_each_row(Body body) {
  for (const row& r : all_rows()) {
    INFO("awaitable: " << r.name);
    kit::in_every_order([&](simulation& world) -> task<> {
      surroundings s(world);
      s.taken.try_acquire();
      s.full_queue.try_put(1);
      co_await s.full.first.write_all("0123456789");  // full from now on
      co_await s.in_memory.first.write_all("0123456789");
      co_await with_nursery([&](nursery& n) -> task<> {
        s.endless = n.spawn([]() -> task<int> {
          co_await sleep_forever();
          co_return 0;
        });
        n.spawn([&]() -> task<> {
          const auto guard = co_await s.locked.lock();
          const auto other = co_await s.locked_again.lock();
          co_await sleep_forever();
        });
        co_await settle();
        co_await body(s, r);
        n.cancel();
      });
      s.endless.reset();
    });
  }
}

bool nobody_holds_or_waits(surroundings& s) {
  return s.empty.available() == 0 && s.taken.available() == 0 && !s.never_set.is_set();
}

}  // namespace

TEST_CASE("awaitables: a cancel request wakes every one of them at once") {
  for_each_row([](surroundings& s, const row& r) -> task<> {
    bool unwound = false, returned = false;
    time_point requested;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        try {
          co_await r.wait(s);
          returned = true;
        } catch (const cancelled&) {
          unwound = true;
          throw;
        }
      });
      co_await sleep_for(10ms);
      CHECK_FALSE((unwound || returned));
      requested = s.world.clock().now();
      n.cancel();
    });
    CHECK(unwound);
    CHECK(s.world.clock().now() - requested < 100ms);
    CHECK(nobody_holds_or_waits(s));
  });
}

TEST_CASE("awaitables: a timeout ends every one of them on time") {
  for_each_row([](surroundings& s, const row& r) -> task<> {
    const time_point start = s.world.clock().now();
    bool expired = false;
    try {
      co_await with_timeout(10ms, r.wait(s));
    } catch (const timed_out&) {
      expired = true;
    }
    CHECK(expired);
    CHECK(s.world.clock().now() - start >= 10ms);
    CHECK(s.world.clock().now() - start < 12ms);
    const bool whole = co_await move_on_after(10ms, r.wait(s));
    CHECK_FALSE(whole);
    CHECK(nobody_holds_or_waits(s));
  });
}

TEST_CASE("awaitables: in a cancelled scope none of them begins anything") {
  for_each_row([](surroundings& s, const row& r) -> task<> {
    const auto count_asked = [&] {
      unsigned asked = 0;
      for (const operation kind : {operation::read, operation::write, operation::receive, operation::send,
                                   operation::accept, operation::poll, operation::poll_many}) {
        asked += s.world.asked(kind);
      }
      return asked;
    };
    const unsigned asked = count_asked();
    const std::uint64_t turn = this_scheduler().stats().turns;
    bool unwound = false;
    cancel_scope scope;
    scope.cancel();
    co_await scope.run([&]() -> task<> {
      try {
        co_await r.wait(s);
      } catch (const cancelled&) {
        unwound = true;
        throw;
      }
    });
    CHECK(unwound);
    CHECK(count_asked() == asked);
    CHECK(this_scheduler().stats().turns - turn < 10);
    CHECK(nobody_holds_or_waits(s));
  });
}

TEST_CASE("awaitables: under a shield none of them is ended, and after it the request is seen") {
  for_each_row([](surroundings& s, const row& r) -> task<> {
    bool passed_the_shield = false, unwound = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const bool whole = co_await shield(move_on_after(20ms, r.wait(s)));
        CHECK_FALSE(whole);
        passed_the_shield = true;
        try {
          co_await r.wait(s);
        } catch (const cancelled&) {
          unwound = true;
          throw;
        }
      });
      co_await sleep_for(10ms);
      n.cancel();
      co_await shield(sleep_for(5ms));
      CHECK_FALSE(passed_the_shield);
    });
    CHECK(passed_the_shield);
    CHECK(unwound);
  });
}

// --- Functions on threads: virtual time stands still while they run

TEST_CASE("awaitables: an offloaded function that waits for a worker is withdrawn by a cancel request") {
  kit::in_every_order([](simulation&) -> task<> {
    std::atomic<bool> release = false, begun = false, second_ran = false;
    thread_pool pool(1);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await pool.run([&] {
          begun = true;
          while (!release) std::this_thread::yield();
        });
      });
      while (!begun) co_await yield_now();
      bool unwound = false;
      auto queued = n.spawn([&]() -> task<> {
        try {
          co_await pool.run([&] { second_ran = true; });
        } catch (const cancelled&) {
          unwound = true;
          throw;
        }
      });
      for (int i = 0; i < 3; ++i) co_await yield_now();
      CHECK(pool.queued() == 1);
      queued.cancel();
      for (int i = 0; i < 3; ++i) co_await yield_now();
      CHECK(unwound);
      CHECK(pool.queued() == 0);
      release = true;
    });
    CHECK_FALSE(second_ran);
  });
}

TEST_CASE("awaitables: an offloaded function that runs is awaited, and its value is given; then the request is seen") {
  kit::in_every_order([](simulation&) -> task<> {
    std::atomic<bool> release = false, begun = false;
    thread_pool pool(1);
    int value = 0;
    bool next_threw = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto working = n.spawn([&]() -> task<> {
        value = co_await pool.run([&] {
          begun = true;
          while (!release) std::this_thread::yield();
          return 5;
        });
        try {
          co_await yield_now();
        } catch (const cancelled&) {
          next_threw = true;
        }
      });
      while (!begun) co_await yield_now();
      working.cancel();
      for (int i = 0; i < 3; ++i) co_await yield_now();
      CHECK_FALSE(working.done());
      release = true;
    });
    CHECK(value == 5);
    CHECK(next_threw);
  });
}

TEST_CASE("awaitables: in a cancelled scope no function is offloaded") {
  kit::in_every_order([](simulation&) -> task<> {
    std::atomic<bool> ran = false;
    thread_pool pool(1);
    const auto ended = co_await move_on_after(0ms, pool.run([&] {
      ran = true;
      return 1;
    }));
    CHECK_FALSE(ended.has_value());
    pool.shutdown();
    CHECK_FALSE(ran);
  });
}
