// Tests of tracer.
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <stdlib.h>
#include <unistd.h>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

using kind = trace_event::kind;

/// text() without its first column, the time.
std::vector<std::string> lines_of(const tracer& t) {
  std::istringstream text(t.text());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line.substr(14));
  return lines;
}

std::size_t count_of(const std::vector<trace_event>& events, kind type) {
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(), [&](const trace_event& e) { return e.type == type; }));
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

task<> give_way() {
  co_await yield_now();
}

/// Tasks that spawn, sleep, wait for each other and send something, and one that is cancelled.
task<> be_busy(simulation& world) {
  auto [end, peer] = world.connection();
  channel<int> numbers(1);
  co_await with_nursery([&](nursery& n) -> task<> {
    n.spawn([&]() -> task<> {
      for (int i = 0; i < 3; ++i) co_await numbers.send(i);
      numbers.close();
    });
    n.spawn([&]() -> task<> {
      while (co_await numbers.receive()) co_await end.write_all("12345");
      co_await end.shutdown_send();
    });
    n.spawn([&]() -> task<> {
      while (const chunk some = co_await peer.receive()) co_await sleep_for(1ms);
    });
    auto endless = n.spawn([]() -> task<> { co_await sleep_forever(); });
    for (int i = 0; i < 3; ++i) co_await give_way();
    endless.cancel();
    co_await sleep_for(10ms);
  });
}

}  // namespace

TEST_CASE("tracer: tells of every step of every task, and whom it woke") {
  simulation world;
  tracer t;
  run(world.how(), []() -> task<> {
    event told;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("waiter"), [&]() -> task<> { co_await told.wait(); });
      co_await yield_now();
      told.set();
      co_await sleep_for(1h);
    });
  });
  const std::vector<std::string> lines = lines_of(t);
  const std::vector<std::string> expected = {
      "spawn     task 1",  // and where it is
      "resume    task 1",
      "suspend   task 1",
      "spawn     task 2 \"waiter\"",
      "ready     task 1, by task 1",
      "resume    task 2",
      "suspend   task 2: wait for an event",
      "resume    task 1",
      "suspend   task 1: sleep",
      "ready     task 2, by task 1",
      "resume    task 2",
      "end       task 2",
      "ready     task 1, by the loop",
      "resume    task 1",
      "end       task 1",
  };
  CHECK(lines.size() == expected.size());
  for (std::size_t i = 0; i < std::min(lines.size(), expected.size()); ++i)
    CHECK_THAT(lines[i], kit::contains(expected[i]));
}

TEST_CASE("tracer: whatever the order, each task is spawned, runs and waits by turns, and ends") {
  for (const auto& seed : kit::orders()) {
    INFO("seed: " << (seed ? std::to_string(*seed) : "none"));
    simulation world;
    tracer t;
    run(kit::with_order(world.how(), seed), [&] { return be_busy(world); });
    const std::vector<trace_event> events = t.events();
    std::map<std::uint64_t, std::string> lives;  // of each task, a letter an event
    std::uint64_t running = 0;
    time_point last{};
    for (const trace_event& e : events) {
      CHECK(e.when >= last);
      last = e.when;
      if (e.type == kind::submit || e.type == kind::complete) continue;
      lives[e.task] += "SRr.E"[static_cast<int>(e.type)];  // spawn, ready, resume, suspend, end
      if (e.type == kind::resume) CHECK(std::exchange(running, e.task) == 0);
      if (e.type == kind::suspend || e.type == kind::end) CHECK(std::exchange(running, 0) == e.task);
    }
    CHECK(lives.size() == 5);
    for (const auto& [task, life] : lives) {
      INFO("task " << task << ": " << life);
      std::string shape = life;
      for (std::size_t at; (at = shape.find("r.R")) != std::string::npos;) shape.erase(at, 3);
      CHECK(shape == "SrE");
    }
    CHECK(t.dropped() == 0);
  }
}

TEST_CASE("tracer: each operation has a submission, and then a completion that ends it") {
  simulation world(fault_plan().shorten(2).interrupt(4).end_multishot(2).delay(1ms));
  tracer t;
  run(world.how(), [&] { return be_busy(world); });
  const std::vector<trace_event> events = t.events();
  std::map<std::uintptr_t, int> in_flight;
  for (const trace_event& e : events) {
    if (e.type == kind::submit) CHECK(++in_flight[e.operation] == 1);
    if (e.type == kind::complete) CHECK((e.more ? in_flight[e.operation] : in_flight[e.operation]--) == 1);
  }
  CHECK(count_of(events, kind::submit) > 5);
  for (const auto& [operation, left] : in_flight) CHECK(left == 0);
  const auto sent = [](const trace_event& e) {
    return e.type == kind::complete && e.result == 2 && std::string(e.what) == "send fd" && e.subject >= 0 &&
           e.task > 1;
  };
  CHECK(std::count_if(events.begin(), events.end(), sent) == 6);  // 5 bytes, in parts of 2, three times
}

TEST_CASE("tracer: a task that is cancelled before it begins has one step, its last") {
  simulation world;
  tracer t;
  run(world.how(), []() -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      n.spawn(give_way);
      n.cancel();
      co_return;
    });
  });
  std::string life;
  for (const trace_event& e : t.events()) {
    if (e.task == 2) life += "SRr.E"[static_cast<int>(e.type)];
  }
  CHECK(life == "SrE");
}

TEST_CASE("tracer: begun in a task it records from the next step on, and nothing more when it has stopped") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await give_way();
    {
      tracer t;
      CHECK(this_scheduler().observed());
      co_await give_way();
      co_await give_way();
      t.stop();
      CHECK_FALSE(this_scheduler().observed());
      const std::size_t recorded = t.events().size();
      co_await give_way();
      t.stop();
      CHECK(t.events().size() == recorded);
      CHECK(count_of(t.events(), kind::ready) == 2);
      CHECK(count_of(t.events(), kind::resume) == 2);
      CHECK(count_of(t.events(), kind::suspend) == 1);
      CHECK(t.events().front().by == t.events().front().task);  // it made itself ready, in the step that had begun
    }
    const tracer another;
    co_await give_way();
    CHECK(another.events().size() > 1);
  });
}

TEST_CASE("tracer: begun in a task, it says from the first event on who woke whom") {
  simulation world;
  run(world.how(), []() -> task<> {
    event told;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await told.wait(); });
      co_await yield_now();
      const tracer t;
      told.set();
      co_await sleep_for(1ms);
      const std::vector<std::string> lines = lines_of(t);
      REQUIRE(lines.size() >= 4);
      CHECK_THAT(lines[0], kit::contains("ready     task 2, by task 1"));
      CHECK_THAT(lines[3], kit::contains("ready     task 1, by the loop"));
    });
  });
}

TEST_CASE("tracer: what others do in the step in which it begins, or is destroyed, is not lost to them") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns));
      for (int i = 0; i < 20; ++i) {
        const int before = turns;
        {
          const tracer t;
          n.spawn(give_way);
          if (i % 2 == 0) co_await give_way();
          if (i % 3 == 0) co_await give_way();
        }
        for (int turn = 0; turn < 2; ++turn) co_await give_way();  // whatever the order, it has had its turn by then
        CHECK(turns > before);
      }
      n.cancel();
    });
  });
}

TEST_CASE("tracer: one loop has one at a time, also while it is waited for") {
  simulation world;
  const tracer t;
  CHECK_THROWS_AS(tracer(), std::logic_error);
  run(world.how(), []() -> task<> {
    CHECK_THROWS_AS(tracer(), std::logic_error);
    co_return;
  });
  const tracer after_the_end;
  CHECK(after_the_end.events().empty());
  CHECK_THROWS_AS(tracer(0), std::invalid_argument);
}

TEST_CASE("tracer: begun outside of run(), it traces the next loop and no further one") {
  tracer t;
  const auto run_once = [] {
    simulation world;
    run(world.how(), give_way);
  };
  run_once();
  const std::size_t recorded = t.events().size();
  CHECK(recorded >= 4);
  run_once();
  CHECK(t.events().size() == recorded);
  {
    const tracer never_used;
  }
  run_once();  // and there is nobody to tell any more
}

TEST_CASE("tracer: survives a loop that ends with an error, and keeps what it has") {
  simulation world;
  const tracer t;
  const auto fail = []() -> task<> {
    co_await give_way();
    throw std::runtime_error("as planned");
  };
  CHECK_THROWS_AS(run(world.how(), fail), std::runtime_error);
  CHECK(count_of(t.events(), kind::end) == 1);
}

TEST_CASE("tracer: keeps the newest events, and says how many it has dropped") {
  simulation world;
  const tracer all;
  run(world.how(), [&] { return be_busy(world); });
  const std::size_t in_all = all.events().size();
  for (const std::size_t most : {std::size_t{1}, std::size_t{7}, in_all - 1, in_all, in_all + 1}) {
    INFO("at most " << most);
    simulation again;
    const tracer t(most);
    run(again.how(), [&] { return be_busy(again); });
    const std::vector<trace_event> kept = t.events();
    CHECK(kept.size() == std::min(most, in_all));
    CHECK(t.dropped() == in_all - kept.size());
    const std::vector<std::string> expected = lines_of(all), lines = lines_of(t);
    CHECK(lines.back() == expected.back());
    CHECK(std::is_sorted(kept.begin(), kept.end(), [](auto& a, auto& b) { return a.when < b.when; }));
  }
}

TEST_CASE("tracer: the titles of tasks that ended long ago are not kept") {
  simulation world;
  tracer t(50);
  run(world.how(), []() -> task<> {
    for (int i = 0; i < 100; ++i) {
      co_await with_nursery([](nursery& n) -> task<> {
        n.spawn(name("a short life"), give_way);
        co_return;
      });
    }
  });
  CHECK(t.title(2) == "task 2");
  CHECK_THAT(t.title(101), kit::contains("task 101 \"a short life\" in give_way at test_tracer.cpp:"));
  CHECK(t.title(12345) == "task 12345");
}

TEST_CASE("tracer: no step more is taken than without it") {
  const auto turns_of = [](bool traced) {
    simulation world;
    std::optional<tracer> t;
    if (traced) t.emplace();
    return run(world.how(), [&]() -> task<std::uint64_t> {
      co_await be_busy(world);
      mutex m;
      for (int i = 0; i < 1000; ++i) {
        auto guard = co_await m.lock();
      }
      co_return this_scheduler().stats().turns;
    });
  };
  CHECK(turns_of(true) == turns_of(false));
}

TEST_CASE("tracer: goes together with warnings of stalls") {
  simulation world;
  const tracer t;
  int warnings = 0;
  run(world.how().stall_warning(1ns, [&](std::string_view) { ++warnings; }), [&] { return be_busy(world); });
  CHECK(warnings > 0);
  CHECK(count_of(t.events(), kind::end) == 5);
}

TEST_CASE("tracer: a Chrome trace has a row a task, its stretches of time, and each operation") {
  simulation world;
  const tracer t;
  const auto hello = [&]() -> task<> {
    auto [end, peer] = world.connection();
    co_await end.write_all("hello");
  };
  run(world.how(), [&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("\"quoted\"\\\n\xff"), hello);
      co_return;
    });
  });
  const std::string json = t.chrome_trace();
  CHECK_THAT(json, kit::contains("\"traceEvents\":["));
  CHECK_THAT(json, kit::contains("\"name\":\"thread_name\",\"args\":{\"name\":\"task 1 "));
  CHECK_THAT(json, kit::contains("task 2 \\\"\\\"quoted\\\"\\\\\\u000a\\u00ff\\\""));
  CHECK_THAT(json, kit::contains("\"name\":\"running\",\"cat\":\"running\""));
  CHECK_THAT(json, kit::contains("\"name\":\"wait for its children\",\"cat\":\"waiting\""));
  CHECK_THAT(json, kit::contains("\"ph\":\"b\""));
  CHECK_THAT(json, kit::contains("\"args\":{\"result\":5}"));
  CHECK(std::count(json.begin(), json.end(), '{') == std::count(json.begin(), json.end(), '}'));
}

TEST_CASE("tracer: writes its Chrome trace to a file, and says what kept it from that") {
  simulation world;
  const tracer t;
  CHECK(t.text().empty());
  CHECK_THAT(t.chrome_trace(), kit::contains("\"traceEvents\":["));
  run(world.how(), give_way);
  char path[] = "/tmp/ringlet_trace_XXXXXX";
  const unique_fd file(::mkstemp(path));
  REQUIRE(file.get() >= 0);
  std::ofstream(path) << std::string(100'000, 'x');
  t.write_chrome_trace(path);
  CHECK(contents_of(path) == t.chrome_trace());
  ::unlink(path);
  CHECK_THROWS_WITH(t.write_chrome_trace("/no/such/folder/trace.json"), kit::contains("/no/such/folder/trace.json"));
  CHECK_THROWS_AS(t.write_chrome_trace("/dev/full"), os_error);
}
