// Tests of for_each_cancel_point(), and of memory streams with it: wherever a request comes, nothing is lost.
#include "kit/bytes.hpp"
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <set>
#include <stdexcept>
#include <string>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// Appends to a text, when the scope ends, as much of a buffer as is in it by then.
class appended_at_end {
 public:
  appended_at_end(std::string& to, const char* buffer, const std::size_t& count) noexcept
      : to_(to), buffer_(buffer), count_(count) {}
  appended_at_end(const appended_at_end&) = delete;
  appended_at_end& operator=(const appended_at_end&) = delete;
  ~appended_at_end() { to_.append(buffer_, count_); }

 private:
  std::string& to_;
  const char* buffer_;
  const std::size_t& count_;
};

task<> read_five(memory_stream& from, std::string& got) {
  std::array<char, 5> to{};
  std::size_t count = 0;
  const appended_at_end kept(got, to.data(), count);
  co_await from.read_exactly(std::as_writable_bytes(std::span(to)), count);
}

task<bool> read_some_more(memory_stream& from, std::string& got) {
  std::array<char, 4> to{};
  const std::size_t count = co_await from.read_some(std::as_writable_bytes(std::span(to)));
  got.append(to.data(), count);
  co_return count > 0;
}

/// Until the end of the stream, by each way of reading in turn.
task<> read_in_every_way(memory_stream& from, std::string& got) {
  try {
    for (;;) {
      co_await read_five(from, got);
      const chunk received = co_await from.receive();
      got += received.text();
      co_await read_some_more(from, got);
    }
  } catch (const end_of_stream&) {
  }
}

task<> read_the_rest(memory_stream& from, std::string& got) {
  for (bool more = true; more;) more = co_await read_some_more(from, got);
}

}  // namespace

TEST_CASE("for_each_cancel_point: cancels before and at each await, and comes to the end at last") {
  kit::in_every_order([](simulation&) -> task<> {
    std::set<int> reached;
    std::size_t runs = 0;
    auto body = [&]() -> task<> {
      int awaits = 0;
      ++runs;
      try {
        for (; awaits < 4; ++awaits) {
          if (awaits % 2 == 0) co_await checkpoint();
          if (awaits % 2 == 1) co_await sleep_for(1h);
        }
      } catch (const cancelled&) {
        reached.insert(awaits);
        throw;
      }
    };
    const std::size_t points = co_await for_each_cancel_point(body);
    CHECK(reached == std::set<int>{0, 1, 2, 3});
    CHECK(runs == points + 1);
  });
}

TEST_CASE("for_each_cancel_point: a request comes while a task waits, and also when its wait is over already") {
  kit::in_every_order([](simulation&) -> task<> {
    int undone = 0, too_late = 0;
    auto body = [&]() -> task<> {
      const time_point start = this_scheduler().now();
      bool slept = false;
      try {
        co_await sleep_for(1h);
        slept = true;
        co_await checkpoint();
      } catch (const cancelled&) {
        const bool in_time = this_scheduler().now() - start < 1h;
        undone += in_time ? 1 : 0;
        too_late += slept ? 1 : 0;
        throw;
      }
    };
    co_await for_each_cancel_point(body);
    CHECK(undone > 0);
    CHECK(too_late > 0);
  });
}

TEST_CASE("for_each_cancel_point: finds the awaits of tasks that were spawned, and of no others") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto points_beside = [](int turns) -> task<std::size_t> {
      std::size_t points = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([turns]() -> task<> {
          for (int turn = 0; turn < turns; ++turn) co_await yield_now();
        });
        auto body = []() -> task<> {
          co_await with_nursery([](nursery& children) -> task<> {
            children.spawn([]() -> task<> { co_await sleep_for(1ms); });
            children.spawn([]() -> task<> { co_await sleep_for(2ms); });
            co_return;
          });
        };
        points = co_await for_each_cancel_point(body);
      });
      co_return points;
    };
    const std::size_t alone = co_await points_beside(0);
    const std::size_t among_others = co_await points_beside(1000);
    CHECK(alone > 6);
    CHECK(among_others == alone);
  });
}

TEST_CASE("for_each_cancel_point: what the body throws goes through, and so does a request from outside") {
  kit::in_every_order([](simulation&) -> task<> {
    int runs = 0;
    auto fails = [&]() -> task<> {
      ++runs;
      co_await checkpoint();
      throw std::runtime_error("broken");
    };
    const auto attempt = [&]() -> task<> { co_await for_each_cancel_point(fails); };
    std::string error;
    try {
      co_await attempt();
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
    CHECK(error == "broken");
    CHECK(runs > 1);
    auto endless = []() -> task<> { co_await sleep_forever(); };
    const auto forever = [&]() -> task<> {
      for (;;) co_await for_each_cancel_point(endless);
    };
    const bool ended = co_await move_on_after(1h, forever());
    CHECK_FALSE(ended);
  });
}

TEST_CASE("memory stream: wherever a writer and a reader are cancelled, each byte that was sent can be read once") {
  for (const std::size_t capacity : {1u, 3u, 100u}) {
    INFO("capacity " << capacity);
    kit::in_every_order([&](simulation&) -> task<> {
      const std::string text = kit::pattern(40);
      std::set<std::size_t> amounts;
      auto body = [&]() -> task<> {
        auto [one, other] = memory_stream_pair(capacity);
        std::size_t sent = 0;
        std::string got;
        auto transfer = [&, &to = one, &from = other]() -> task<> {
          co_await with_nursery([&](nursery& n) -> task<> {
            n.spawn([&]() -> task<> {
              co_await to.write_all(text, sent);
              co_await to.shutdown_send();
            });
            co_await read_in_every_way(from, got);
          });
        };
        auto check = [&, &to = one, &from = other]() -> task<> {
          co_await to.shutdown_send();
          co_await read_the_rest(from, got);
          CHECK((got == text.substr(0, sent)));
          amounts.insert(sent);
        };
        co_await finally(transfer, check);
      };
      co_await for_each_cancel_point(body);
      CHECK(amounts.count(0) == 1);
      CHECK(amounts.count(text.size()) == 1);
    });
  }
}
