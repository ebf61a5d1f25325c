// Tests of ringlet/pipeline.hpp.
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/as_completed.hpp>
#include <ringlet/async_generator.hpp>
#include <ringlet/line_reader.hpp>
#include <ringlet/pipeline.hpp>
#include <ringlet/thread_pool.hpp>
#include <ringlet/timeout.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 1);
  return all;
}

task<int> twice_later(int x) {
  co_await sleep_for(1ms);
  co_return 2 * x;
}

async_generator<int> numbers_later(int count) {
  for (int i = 1; i <= count; ++i) {
    co_await sleep_for(1ms);
    co_yield i;
  }
}

/// How many calls of a function are under way, and how many there were at most.
struct crowd {
  int inside = 0;
  int most = 0;

  auto slow(duration length) {
    return [this, length](int x) -> task<int> {
      most = std::max(most, ++inside);
      co_await sleep_for(length);
      --inside;
      co_return x;
    };
  }
};

}  // namespace

TEST_CASE("pipeline: every item goes through every stage, coroutines and plain functions, in order") {
  kit::in_every_order([](simulation&) -> task<> {
    std::vector<std::string> got;
    const std::vector<int> given = numbers(20);
    const auto to_text = [](int x) { return std::to_string(x); };
    const auto keep = [&](std::string text) { got.push_back(std::move(text)); };
    co_await (from(given) | stage(twice_later) | stage(to_text) | for_each(keep));
    REQUIRE(got.size() == 20);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == std::to_string(2 * (i + 1)));
  });
}

TEST_CASE("pipeline: a source alone, an empty one, and a last function that awaits") {
  kit::in_every_order([](simulation&) -> task<> {
    int sum = 0;
    const auto add_later = [&](int x) -> task<> {
      co_await sleep_for(1ms);
      sum += x;
    };
    co_await (from(numbers(10)) | for_each(add_later));
    CHECK(sum == 55);
    co_await (from(std::vector<int>()) | stage(twice_later, 3) | for_each(add_later));
    CHECK(sum == 55);
  });
}

TEST_CASE("pipeline: stages work at the same time, each on so many items") {
  kit::in_every_order([](simulation& world) -> task<> {
    crowd first, second;
    std::vector<int> got;
    const auto keep = [&](int x) { got.push_back(x); };
    const time_point start = world.clock().now();
    co_await (from(numbers(100)) | stage(first.slow(10ms), 5) | stage(second.slow(4ms), 2) | for_each(keep));
    CHECK(first.most == 5);
    CHECK(second.most == 2);
    std::sort(got.begin(), got.end());
    CHECK(got == numbers(100));
    CHECK(world.clock().now() - start < 250ms);  // one by one it would take 1400 ms
  });
}

TEST_CASE("pipeline: who is ahead is held up, so that not everything piles up in front of a slow stage") {
  kit::in_every_order([](simulation&) -> task<> {
    int taken = 0, done = 0, furthest = 0;
    const auto note = [&](int x) {
      ++taken;
      furthest = std::max(furthest, taken - done);
      return x;
    };
    const auto slow = [&](int) -> task<> {
      co_await sleep_for(10ms);
      ++done;
    };
    co_await (from(numbers(50)) | stage(note) | for_each(slow));
    CHECK(done == 50);
    CHECK(furthest <= 4);
  });
}

TEST_CASE("pipeline: the first error cancels all else and comes out") {
  for (int where = 0; where < 3; ++where) {
    kit::in_every_order([where](simulation&) -> task<> {
      const auto fail_at_seven = [where](int here) {
        return [where, here](int x) -> task<int> {
          co_await sleep_for(1ms);
          if (here == where && x == 7) throw std::out_of_range("seven");
          co_return x;
        };
      };
      int ended = 0;
      bool thrown = false;
      const auto last = [&](int x) -> task<> {
        co_await sleep_for(1ms);
        if (where == 2 && x == 7) throw std::out_of_range("seven");
        ++ended;
      };
      try {
        co_await (from(numbers(1000)) | stage(fail_at_seven(0), 2) | stage(fail_at_seven(1)) | for_each(last));
      } catch (const std::out_of_range&) {
        thrown = true;
      }
      CHECK(thrown);
      CHECK(ended < 20);
    });
  }
}

TEST_CASE("pipeline: is cancelled as a whole") {
  kit::in_every_order([](simulation& world) -> task<> {
    crowd many;
    const auto forget = [](int) {};
    const time_point start = world.clock().now();
    const bool done = co_await move_on_after(5ms, from(numbers(100)) | stage(many.slow(1h), 4) | for_each(forget));
    CHECK_FALSE(done);
    CHECK(many.most == 4);
    CHECK(world.clock().now() - start < 1s);
  });
}

TEST_CASE("pipeline: items that can only be moved") {
  kit::in_every_order([](simulation&) -> task<> {
    std::vector<std::unique_ptr<int>> given;
    for (int i = 1; i <= 5; ++i) given.push_back(std::make_unique<int>(i));
    int sum = 0;
    const auto pass = [](std::unique_ptr<int> p) -> task<std::unique_ptr<int>> {
      co_await yield_now();
      co_return p;
    };
    const auto add = [&](std::unique_ptr<int> p) { sum += *p; };
    co_await (from(std::move(given)) | stage(pass, 2) | for_each(add));
    CHECK(sum == 15);
  });
}

TEST_CASE("pipeline: takes lines from a stream, and jobs as they end") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::string joined;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await a.write_all("one\ntwo\nthree\n");
        co_await a.shutdown_send();
      });
      line_reader lines(b);
      const auto later = [](std::string line) -> task<std::string> {
        co_await sleep_for(1ms);  // while the reader goes on to the next ones
        co_return line;
      };
      const auto join = [&](const std::string& line) { joined += line + ' '; };
      co_await (from(lines) | stage(later) | for_each(join));

      std::vector<job<int>> jobs;
      for (const int i : {3, 1, 2}) jobs.push_back(n.spawn(kit::give_after, i * 1ms, i));
      const auto value = [](job<int> j) -> task<int> { co_return co_await j; };
      const auto add = [&](int x) { joined += std::to_string(x); };
      co_await (from(as_completed(std::move(jobs))) | stage(value) | for_each(add));
    });
    CHECK(joined == "one two three 123");
  });
}

TEST_CASE("pipeline: takes what an async_generator yields") {
  kit::in_every_order([](simulation&) -> task<> {
    int sum = 0;
    const auto add = [&](int x) { sum += x; };
    co_await (from(numbers_later(10)) | stage(twice_later, 3) | for_each(add));
    CHECK(sum == 110);
    auto endless = numbers_later(1'000'000);
    const bool done = co_await move_on_after(20ms, from(endless) | for_each(add));
    CHECK_FALSE(done);
    CHECK(endless.done());
  });
}

TEST_CASE("pipeline: a stage on a thread pool") {
  simulation world;
  kit::run_to_the_end(world.how(), [&]() -> task<> {
    thread_pool pool(2);
    std::vector<int> got;
    const auto square = [](int x) { return x * x; };
    const auto keep = [&](int x) { got.push_back(x); };
    co_await (from(numbers(50)) | stage(pool, square, 4) | for_each(keep));
    std::sort(got.begin(), got.end());
    REQUIRE(got.size() == 50);
    for (int i = 0; i < 50; ++i) CHECK(got[static_cast<std::size_t>(i)] == (i + 1) * (i + 1));
  });
}

TEST_CASE("pipeline: aggregates go through a pool, too, and functions that take a stop_token") {
  struct record {
    std::string text;
    int number;
  };
  simulation world;
  kit::run_to_the_end(world.how(), [&]() -> task<> {
    thread_pool pool(2);
    std::vector<record> given;
    for (int i = 0; i < 10; ++i) given.push_back({"a text that is too long to be stored inside", i});
    std::size_t length = 0;
    int sum = 0;
    const auto mark = [](record r) {
      r.text += '!';
      return r;
    };
    const auto length_of = [](std::stop_token, record r) { return r.text.size() + static_cast<std::size_t>(r.number); };
    const auto add = [&](std::size_t x) {
      length += x;
      ++sum;
    };
    co_await (from(given) | stage(pool, mark, 2) | stage(pool, length_of) | for_each(add));
    CHECK(sum == 10);
    CHECK(length == 10 * 44 + 45);
  });
}

TEST_CASE("pipeline: a stage without workers is an error") {
  CHECK_THROWS_AS(stage(twice_later, 0), std::invalid_argument);
}
