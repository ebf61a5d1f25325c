// Tests on the kernel: the monitor, as somebody with nc sees it.
#include "kernel.hpp"

#include <algorithm>
#include <optional>
#include <string>

using namespace kernel;

namespace {

constexpr std::string_view prompt = "ringlet> ";

/// Somebody with nc.
class visitor {
 public:
  explicit visitor(tcp_stream s) : stream_(std::move(s)) {}

  static task<visitor> connect(endpoint where) {
    visitor v(co_await tcp_stream::connect(where));
    const std::string greeting = co_await v.read_answer();
    CHECK(greeting.find("help") != std::string::npos);
    co_return v;
  }

  task<std::string> ask(std::string command) {
    command += '\n';
    co_await stream_.write_all(command);
    co_return co_await read_answer();
  }

  /// What comes up to the next prompt, or to the end.
  task<std::string> read_answer() {
    std::string text;
    while (!text.ends_with(prompt)) {
      const chunk more = co_await stream_.receive();
      if (more.empty()) co_return text;
      text += more.text();
    }
    co_return text.substr(0, text.size() - prompt.size());
  }

 private:
  tcp_stream stream_;
};

/// body: (endpoint of the monitor) -> task<>.
template <class Body>
void with_monitor(Body body) {
  const endpoint where = closed_port();
  in_time(options().monitor(where), [&]() -> task<> { co_await body(where); });
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("monitor: shows all tasks with their names and what they wait for") {
  with_monitor([](endpoint where) -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("the sleeper"), []() -> task<> { co_await sleep_forever(); });
      event never_set;
      n.spawn([&]() -> task<> { co_await never_set.wait(); });
      auto v = co_await visitor::connect(where);
      const std::string list = co_await v.ask("ps");
      CHECK(has(list, "the sleeper"));
      CHECK(has(list, "wait for an event"));
      CHECK(std::count(list.begin(), list.end(), '\n') >= 3);
      const std::string tree = co_await v.ask("  tree\t\r");
      CHECK(has(tree, "task 1"));
      CHECK(has(tree, "\"the sleeper\""));
      CHECK(has(tree, "test_monitor.cpp:"));
      n.cancel();
    });
  });
}

TEST_CASE("monitor: says where one task waits, and cancels it") {
  with_monitor([](endpoint where) -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      auto sleeper = n.spawn(name("victim"), []() -> task<> { co_await sleep_for(1h); });
      auto other = n.spawn([]() -> task<> { co_await sleep_for(1h); });
      auto v = co_await visitor::connect(where);
      const std::string at = co_await v.ask("where " + std::to_string(sleeper.id()));
      CHECK(has(at, "victim"));
      CHECK(has(at, "sleep"));
      CHECK_FALSE(has(at, "task " + std::to_string(other.id()) + ":"));
      const std::string told = co_await v.ask("cancel " + std::to_string(sleeper.id()));
      CHECK(has(told, std::to_string(sleeper.id())));
      bool was_cancelled = false;
      try {
        co_await sleeper;
      } catch (const task_cancelled&) {
        was_cancelled = true;
      }
      CHECK(was_cancelled);
      CHECK_FALSE(other.done());
      const std::string gone = co_await v.ask("where " + std::to_string(sleeper.id()));
      CHECK(has(gone, "no task"));
      n.cancel();
    });
  });
}

TEST_CASE("monitor: cancels the root task, and all ends") {
  bool unwound = false;
  const endpoint where = closed_port();
  run(options().monitor(where), [&]() -> task<> {
    try {
      auto v = co_await visitor::connect(where);
      const std::string told = co_await v.ask("cancel 1");
      CHECK(has(told, "told"));
      co_await sleep_for(time_limit);
    } catch (const cancelled&) {
      unwound = true;
      throw;
    }
  });
  CHECK(unwound);
}

TEST_CASE("monitor: tells what the loop and its ring have done") {
  with_monitor([](endpoint where) -> task<> {
    auto v = co_await visitor::connect(where);
    const std::string loop = co_await v.ask("stats");
    for (const char* part : {"tasks", "ready", "waiting", "offloads", "turns", "errors unseen"}) CHECK(has(loop, part));
    const std::string ring = co_await v.ask("ring");
    for (const char* part : {"in flight", "enters", "sqes", "cqes", "cq overflows"}) CHECK(has(ring, part));
  });
}

TEST_CASE("monitor: tells what happened in a while, unless somebody traces already") {
  with_monitor([](endpoint where) -> task<> {
    auto v = co_await visitor::connect(where);
    auto other = co_await visitor::connect(where);
    auto curious = co_await visitor::connect(where);
    std::string trace, refused;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (;;) {
          co_await curious.ask("stats");
          co_await sleep_for(1ms);
        }
      });
      trace = co_await v.ask("trace 0.2");
      const tracer mine;
      refused = co_await other.ask("trace 1");
      n.cancel();
    });
    CHECK(has(refused, "traced already"));
    CHECK(has(trace, ": sleep\n"));
    CHECK(has(trace, "submit"));
    CHECK(has(trace, "complete"));
    const std::string again = co_await v.ask("trace 0.001");
    CHECK(has(again, "resume"));
    for (const char* bad :
         {"trace", "trace x", "trace 0", "trace -1", "trace nan", "trace inf", "trace 61", "trace 1 2"}) {
      const std::string answer = co_await v.ask(bad);
      INFO(bad << " gave " << answer);
      CHECK(has(answer, "how many seconds"));
    }
  });
}

TEST_CASE("monitor: a visitor who is being traced for does not keep the loop from its end") {
  const endpoint where = closed_port();
  in_time(options().monitor(where), [&]() -> task<> {
    auto v = co_await visitor::connect(where);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await v.ask("trace 60"); });
      while (!this_scheduler().observed()) co_await sleep_for(1ms);
      n.cancel();
    });
  });
}

TEST_CASE("monitor: help names each command, and whatever is no command gets a clear answer") {
  with_monitor([](endpoint where) -> task<> {
    auto v = co_await visitor::connect(where);
    const std::string help = co_await v.ask("help");
    for (const char* word : {"ps", "tree", "where", "cancel", "stats", "ring", "trace", "quit"}) CHECK(has(help, word));
    for (const char* bad : {"pss", "where", "where x", "where 12x", "where 999999", "cancel", "cancel -1",
                            "cancel 99999999999999999999999999"}) {
      const std::string answer = co_await v.ask(bad);
      INFO(bad << " gave " << answer);
      CHECK((has(answer, "no command of that name") || has(answer, "no task") || has(answer, "which task")));
    }
    const std::string too_long = co_await v.ask(std::string(5000, 'x'));
    CHECK(has(too_long, "too long"));
    const std::string nothing = co_await v.ask("   ");
    CHECK(nothing.empty());
    const std::string bytes = co_await v.ask(std::string("\0\xff\x01", 3));
    CHECK(has(bytes, "no command of that name"));
  });
}

TEST_CASE("monitor: serves several at once, and quit and the end of a connection end only that") {
  with_monitor([](endpoint where) -> task<> {
    auto first = co_await visitor::connect(where);
    auto second = co_await visitor::connect(where);
    const std::string last = co_await first.ask("quit");
    CHECK(last.empty());
    {
      auto third = co_await visitor::connect(where);
    }
    const std::string still = co_await second.ask("stats");
    CHECK(has(still, "tasks"));
  });
}

TEST_CASE("monitor: ends with the root task, whoever is connected, and gives its address back") {
  const endpoint where = closed_port();
  for (int round = 0; round < 3; ++round) {
    std::optional<visitor> left_over;
    in_time(options().monitor(where), [&]() -> task<> { left_over = co_await visitor::connect(where); });
    in_time([&]() -> task<> {
      const std::string end = co_await left_over->read_answer();
      CHECK(end.empty());
      left_over.reset();
    });
  }
}

TEST_CASE("monitor: run() fails when the address cannot be had, before anything has run") {
  const plain_listener taken;
  bool ran = false;
  int error = 0;
  try {
    run(options().monitor(taken.where()), [&]() -> task<> {
      ran = true;
      co_return;
    });
  } catch (const os_error& e) {
    error = e.code().value();
  }
  CHECK(error == EADDRINUSE);
  CHECK_FALSE(ran);
}

TEST_CASE("monitor: can be a task like any other") {
  in_time([]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      tcp_listener listener = tcp_listener::bind(endpoint("127.0.0.1", 0));
      const endpoint where = listener.local();
      n.spawn(monitor, std::move(listener));
      auto v = co_await visitor::connect(where);
      const std::string tree = co_await v.ask("tree");
      CHECK(has(tree, "accept fd"));
      n.cancel();
    });
  });
}
