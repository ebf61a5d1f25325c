// Tests of ringlet/queue.hpp: queue, lifo_queue and priority_queue.
#include "kit/fragile.hpp"
#include "kit/random.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/queue.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/timeout.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// What comes out of a closed queue, in this order.
template <class Queue>
task<std::string> all_of(Queue& q) {
  std::string got;
  try {
    for (;;) got += co_await q.get();
  } catch (const queue_closed&) {
  }
  co_return got;
}

template <class Queue>
task<std::string> put_and_get(Queue& q, std::string_view items) {
  for (const char item : items) co_await q.put(item);
  q.close();
  co_return co_await all_of(q);
}

template <class Queue>
task<bool> is_closed_for_put(Queue& q) {
  try {
    co_await q.put('x');
  } catch (const queue_closed&) {
    co_return true;
  }
  co_return false;
}

template <class Queue>
task<bool> is_closed_for_get(Queue& q) {
  try {
    co_await q.get();
  } catch (const queue_closed&) {
    co_return true;
  }
  co_return false;
}

}  // namespace

// --- Order

TEST_CASE("queue: first in, first out") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<char> q;
    const std::string got = co_await put_and_get(q, "abcab");
    CHECK(got == "abcab");
  });
}

TEST_CASE("lifo_queue: last in, first out") {
  kit::in_every_order([](simulation&) -> task<> {
    lifo_queue<char> q;
    const std::string got = co_await put_and_get(q, "abcde");
    CHECK(got == "edcba");
  });
}

TEST_CASE("priority_queue: the least comes out first, or what Less says") {
  kit::in_every_order([](simulation&) -> task<> {
    priority_queue<char> q;
    const std::string got = co_await put_and_get(q, "dbeacb");
    CHECK(got == "abbcde");
    priority_queue<char, std::greater<char>> reverse;
    const std::string reversed = co_await put_and_get(reverse, "dbeacb");
    CHECK(reversed == "edcbba");
  });
}

TEST_CASE("priority_queue: of equal items the one that was put in first comes out first") {
  struct ticket {
    int priority;
    int number;
  };
  struct by_priority {
    bool operator()(const ticket& a, const ticket& b) const { return a.priority < b.priority; }
  };
  kit::in_every_order([](simulation&) -> task<> {
    priority_queue<ticket, by_priority> q;
    for (int number = 0; number < 300; ++number) CHECK(q.try_put(ticket{number % 3, number}));
    std::vector<ticket> got;
    while (auto next = q.try_get()) got.push_back(*next);
    REQUIRE(got.size() == 300);
    CHECK(std::is_sorted(got.begin(), got.end(), [](const ticket& a, const ticket& b) {
      return a.priority != b.priority ? a.priority < b.priority : a.number < b.number;
    }));
    co_return;
  });
}

// --- Room

TEST_CASE("queue: try_put and try_get never wait, and say when it is full or empty") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<std::string> q(2);
    const auto none = q.try_get();
    CHECK_FALSE(none.has_value());
    CHECK(q.try_put("a"));
    CHECK(q.try_put("b"));
    std::string third = "c";
    CHECK_FALSE(q.try_put(std::move(third)));
    CHECK(third == "c");
    CHECK(q.size() == 2);
    const auto first = q.try_get();
    CHECK(first == "a");
    CHECK(q.try_put(third));
    CHECK(third == "c");
    CHECK(q.size() == 2);
    co_return;
  });
}

TEST_CASE("queue: without a maximum, and with 0 as in Python, nobody waits to put an item in") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> without;
    queue<int> zero(0);
    for (int i = 0; i < 1000; ++i) {
      CHECK(without.try_put(i));
      CHECK(zero.try_put(i));
    }
    CHECK(without.size() == 1000);
    CHECK(zero.size() == 1000);
    co_return;
  });
}

TEST_CASE("queue: a full one makes put() wait until there is room") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q(1);
    bool second_is_in = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await q.put(1);
        co_await q.put(2);
        second_is_in = true;
      });
      co_await settle();
      CHECK_FALSE(second_is_in);
      CHECK(q.size() == 1);
      const int first = co_await q.get();
      CHECK(first == 1);
      CHECK(q.size() == 1);
      co_await settle();
      CHECK(second_is_in);
      const int second = co_await q.get();
      CHECK(second == 2);
    });
  });
}

TEST_CASE("lifo_queue, priority_queue: what is taken from a full one was in it, and only then the next one gets in") {
  kit::in_every_order([](simulation&) -> task<> {
    lifo_queue<char> stack(2);
    priority_queue<char> heap(2);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const char item : {'c', 'b'}) {
        co_await stack.put(item);
        co_await heap.put(item);
      }
      n.spawn([&]() -> task<> { co_await stack.put('a'); });
      n.spawn([&]() -> task<> { co_await heap.put('a'); });
      co_await settle();
      for (const char expected : {'b', 'a', 'c'}) {
        const char from_stack = co_await stack.get();
        CHECK(from_stack == expected);
      }
      for (const char expected : {'b', 'a', 'c'}) {
        const char from_heap = co_await heap.get();
        CHECK(from_heap == expected);
      }
    });
  });
}

TEST_CASE("queue: an item goes to the task that has waited longest, and try_get cannot snatch it") {
  simulation world;
  std::string log;
  kit::run_to_the_end(world.how(), [&]() -> task<> {
    priority_queue<char> q;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const char me : {'1', '2', '3'}) {
        n.spawn(
            [&](char who) -> task<> {
              const char item = co_await q.get();
              log += {who, item, ' '};
            },
            me);
      }
      co_await settle();
      for (const char item : {'z', 'y', 'x'}) {
        CHECK(q.try_put(item));
        const auto snatched = q.try_get();
        CHECK_FALSE(snatched.has_value());
      }
    });
  });
  CHECK(log == "1z 2y 3x ");
}

TEST_CASE("queue: items that can only be moved") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<std::unique_ptr<int>> q(1);
    co_await q.put(std::make_unique<int>(1));
    auto second = std::make_unique<int>(2);
    CHECK_FALSE(q.try_put(std::move(second)));
    CHECK(second != nullptr);
    const auto first = co_await q.get();
    CHECK(*first == 1);
    co_await q.put(std::in_place, std::move(second));
    const auto got = co_await q.get();
    CHECK(*got == 2);
  });
}

// --- Done

TEST_CASE("queue: join() waits until every item that was put in is done, and no longer") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q;
    co_await q.join();  // nothing was ever put in
    int done = 0, done_at_join = -1;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 10; ++i) co_await q.put(i);
      CHECK(q.unfinished() == 10);
      for (int worker = 0; worker < 3; ++worker) {
        n.spawn([&]() -> task<> {
          for (;;) {
            const int item = co_await q.get();
            co_await sleep_for(item * 1ms);
            ++done;
            q.task_done();
          }
        });
      }
      co_await q.join();
      done_at_join = done;
      CHECK(q.unfinished() == 0);
      n.cancel();
    });
    CHECK(done_at_join == 10);
  });
}

TEST_CASE("queue: join() waits for an item that was handed to a task which has not gone on yet") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q;
    bool done = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await q.get();
        done = true;
        q.task_done();
      });
      co_await settle();
      CHECK(q.try_put(1));
      CHECK(q.size() == 0);
      CHECK(q.unfinished() == 1);
      co_await q.join();
      CHECK(done);
    });
  });
}

TEST_CASE("queue: an item of a task that waits to put it in counts once it is in") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q(1);
    co_await with_nursery([&](nursery& n) -> task<> {
      co_await q.put(1);
      n.spawn([&]() -> task<> { co_await q.put(2); });
      co_await settle();
      CHECK(q.unfinished() == 1);
      co_await q.get();
      CHECK(q.unfinished() == 2);  // one is out, one got in, and none is done
      q.task_done();
      CHECK(q.unfinished() == 1);
    });
  });
}

TEST_CASE("queue: task_done() more often than items came out is an error, and changes nothing") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q;
    CHECK_THROWS_AS(q.task_done(), std::logic_error);
    co_await q.put(1);
    CHECK_THROWS_AS(q.task_done(), std::logic_error);  // nobody has got it
    CHECK(q.unfinished() == 1);
    co_await q.get();
    q.task_done();
    CHECK_THROWS_AS(q.task_done(), std::logic_error);
    CHECK(q.unfinished() == 0);
  });
}

// --- Closing

TEST_CASE("queue: a closed one gives what is in it, and then queue_closed") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<char> q;
    co_await q.put('a');
    co_await q.put('b');
    q.close();
    q.close();
    CHECK(q.closed());
    CHECK_FALSE(q.try_put('c'));
    const bool refused = co_await is_closed_for_put(q);
    CHECK(refused);
    const std::string got = co_await all_of(q);
    CHECK(got == "ab");
    CHECK(q.unfinished() == 2);
    q.task_done();
    q.task_done();
    co_await q.join();
  });
}

TEST_CASE("queue: close(now) drops what nobody has got, which counts as done") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<char> q;
    bool joined = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const char item : {'a', 'b', 'c'}) co_await q.put(item);
      const char taken = co_await q.get();
      CHECK(taken == 'a');
      n.spawn([&]() -> task<> {
        co_await q.join();
        joined = true;
      });
      co_await settle();
      q.close(closing::now);
      CHECK(q.size() == 0);
      CHECK(q.unfinished() == 1);  // the one that was taken
      const bool ended = co_await is_closed_for_get(q);
      CHECK(ended);
      co_await settle();
      CHECK_FALSE(joined);
      q.task_done();
    });
    CHECK(joined);
  });
}

TEST_CASE("queue: a drain may be cut short") {
  kit::in_every_order([](simulation&) -> task<> {
    lifo_queue<char> q;
    for (const char item : {'a', 'b', 'c'}) co_await q.put(item);
    q.close();
    const char last = co_await q.get();
    CHECK(last == 'c');
    q.close(closing::now);
    const bool ended = co_await is_closed_for_get(q);
    CHECK(ended);
    q.task_done();
    CHECK(q.unfinished() == 0);
  });
}

TEST_CASE("queue: closing wakes all who wait, to put and to get") {
  for (const closing how : {closing::drain, closing::now}) {
    kit::in_every_order([how](simulation&) -> task<> {
      queue<char> empty;
      queue<char> full(1);
      int woken = 0;
      co_await full.put('a');
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 3; ++i) {
          n.spawn([&]() -> task<> { woken += co_await is_closed_for_get(empty) ? 1 : 0; });
          n.spawn([&]() -> task<> { woken += co_await is_closed_for_put(full) ? 1 : 0; });
        }
        co_await settle();
        CHECK(woken == 0);
        empty.close(how);
        full.close(how);
      });
      CHECK(woken == 6);
      const std::string left = co_await all_of(full);
      CHECK(left == (how == closing::drain ? "a" : ""));
    });
  }
}

// --- Cancelling

TEST_CASE("queue: a cancelled task has put nothing in, and takes nothing out") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q(1);
    const bool got = (co_await move_on_after(1ms, q.get())).has_value();
    CHECK_FALSE(got);
    co_await q.put(1);
    const bool put = co_await move_on_after(1ms, q.put(2));
    CHECK_FALSE(put);
    CHECK(q.unfinished() == 1);
    const int first = co_await q.get();
    CHECK(first == 1);
    q.task_done();
    const bool joined = co_await move_on_after(1ms, q.join());
    CHECK(joined);
    CHECK(q.size() == 0);
  });
}

TEST_CASE("queue: an item that was handed to a task which is cancelled before it runs is that task's") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q;
    int got = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto worker = n.spawn([&]() -> task<> { got = co_await q.get(); });
      co_await settle();
      CHECK(q.try_put(7));
      worker.cancel();
    });
    CHECK(got == 7);
    CHECK(q.size() == 0);
  });
}

TEST_CASE("queue: a task that only puts and gets lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<int> q;
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      for (int i = 0; i < 5'000; ++i) {
        co_await q.put(i);
        const int same = co_await q.get();
        if (same != i) FAIL_CHECK("another item came out");
        q.task_done();
        co_await q.join();
      }
      n.cancel();
    });
    CHECK(turns_of_other > 50);
  });
}

// --- What moving throws

TEST_CASE("queue: when an item cannot be moved, it is not lost, and not counted twice") {
  kit::in_every_order([](simulation&) -> task<> {
    queue<kit::fragile> q(2);
    co_await q.put(std::in_place, 1);
    kit::fragile::moves_left = 0;
    bool failed = false;
    try {
      co_await q.put(std::in_place, 2);
    } catch (const std::runtime_error&) {
      failed = true;
    }
    CHECK(failed);
    CHECK(q.unfinished() == 1);
    kit::fragile::moves_left = 0;
    CHECK_THROWS_AS(q.try_get(), std::runtime_error);
    CHECK(q.size() == 1);
    kit::fragile::moves_left = -1;
    const kit::fragile first = co_await q.get();
    CHECK(first.number() == 1);
    q.task_done();
    CHECK(q.unfinished() == 0);
  });
}

// --- Against a model

namespace {

/// Tasks that put and get at random in one queue, some of them impatient. What comes out next is what `next` says of
/// the items that are in.
template <class Queue>
class market {
 public:
  using next_item = std::function<std::deque<int>::iterator(std::deque<int>&)>;

  market(std::size_t max, next_item next) : queue_(max), next_(std::move(next)) {}

  task<> trade(kit::random& draw) {
    for (int round = 0; round < 30; ++round) {
      co_await yield_now();
      if (draw.one_in(2)) {
        put(static_cast<int>(draw.below(50)));
      } else {
        get();
      }
    }
  }

  std::size_t trades() const { return trades_; }

 private:
  void put(int item) {
    const bool in = queue_.try_put(item);
    CHECK(in == (inside_.size() < 5));
    if (in) inside_.push_back(item);
    compare();
  }
  void get() {
    const std::optional<int> item = queue_.try_get();
    CHECK(item.has_value() == !inside_.empty());
    if (!item) return;
    const auto expected = next_(inside_);
    CHECK(*item == *expected);
    inside_.erase(expected);
    queue_.task_done();
    ++trades_;
    compare();
  }
  void compare() {
    CHECK(queue_.size() == inside_.size());
    CHECK(queue_.unfinished() == inside_.size());
  }

  Queue queue_;
  next_item next_;
  std::deque<int> inside_;
  std::size_t trades_ = 0;
};

template <class Queue>
void compare_with_model(typename market<Queue>::next_item next) {
  std::size_t trades = 0;
  kit::in_random_worlds(60, [&](simulation&, kit::random& draw) -> task<> {
    market<Queue> model(5, next);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 5; ++i) n.spawn([&]() { return model.trade(draw); });
      co_return;
    });
    trades += model.trades();
  });
  CHECK(trades > 1000);
}

}  // namespace

TEST_CASE("queue, lifo_queue, priority_queue: puts and gets at random give what a simple list says") {
  compare_with_model<queue<int>>([](std::deque<int>& inside) { return inside.begin(); });
  compare_with_model<lifo_queue<int>>([](std::deque<int>& inside) { return std::prev(inside.end()); });
  compare_with_model<priority_queue<int>>(
      [](std::deque<int>& inside) { return std::min_element(inside.begin(), inside.end()); });
}

TEST_CASE("queue: with impatient tasks on both sides every item that got in comes out once") {
  kit::in_random_worlds(60, [](simulation&, kit::random& draw) -> task<> {
    queue<int> q(2);
    std::vector<int> in, out;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int side = 0; side < 4; ++side) {
        n.spawn(
            [&](int me) -> task<> {
              for (int i = 0; i < 40; ++i) {
                const int item = 1000 * me + i;
                if (co_await move_on_after(draw.below(4) * 1us, q.put(item))) in.push_back(item);
                co_await sleep_for(draw.below(3) * 1us);
              }
            },
            side);
        n.spawn([&]() -> task<> {
          for (int i = 0; i < 40; ++i) {
            if (const auto item = co_await move_on_after(draw.below(4) * 1us, q.get())) out.push_back(*item);
            co_await sleep_for(draw.below(3) * 1us);
          }
        });
      }
      co_return;
    });
    while (const auto item = q.try_get()) out.push_back(*item);
    CHECK(q.unfinished() == out.size());
    std::sort(in.begin(), in.end());
    std::sort(out.begin(), out.end());
    CHECK(in == out);
  });
}
