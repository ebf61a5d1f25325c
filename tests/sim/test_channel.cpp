// Tests of ringlet/channel.hpp: every item arrives once and in order, whoever waits, is cancelled, throws or closes.
#include "kit/counted.hpp"
#include "kit/errors.hpp"
#include "kit/fragile.hpp"
#include "kit/random.hpp"
#include "kit/tasks.hpp"

#include <ringlet/channel.hpp>
#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_any.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t capacities[] = {0, 1, 3, unbounded};

/// body: (channel<int>&) -> task<>. In every order, with every kind of capacity.
template <class Body>
void with_channels(Body body) {
  for (const std::size_t capacity : capacities) {
    INFO("capacity: " << capacity);
    kit::in_every_order([&](simulation&) -> task<> {
      channel<int> items(capacity);
      co_await body(items);
    });
  }
}

task<> send_numbers(channel<int>& to, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    const bool sent = co_await to.send(i);
    CHECK(sent);
  }
}

task<> receive_into(channel<int>& from, std::vector<int>& all) {
  while (const auto item = co_await from.receive()) all.push_back(*item);
}

task<> send_one(channel<int>& to, int item, std::vector<int>& sent) {
  const bool accepted = co_await to.send(item);
  if (accepted) sent.push_back(item);
}

task<> receive_one(channel<int>& from, int who, std::vector<std::pair<int, int>>& got) {
  const auto item = co_await from.receive();
  if (item) got.emplace_back(who, *item);
}

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

using pairs = std::vector<std::pair<int, int>>;

}  // namespace

// --- Order

TEST_CASE("channel: items come in the order of sending, each once, and the end after them") {
  with_channels([](channel<int>& items) -> task<> {
    std::vector<int> got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(receive_into, std::ref(items), std::ref(got));
      co_await send_numbers(items, 0, 500);
      items.close();
    });
    CHECK(got == numbers(500));
    const auto end = co_await items.receive();
    CHECK_FALSE(end.has_value());
  });
}

TEST_CASE("channel: as many items as the capacity are sent at once, and the next one waits") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(3);
    const std::uint64_t turn = this_scheduler().stats().turns;
    co_await send_numbers(items, 0, 3);
    CHECK(this_scheduler().stats().turns == turn);
    CHECK(items.size() == 3);
    CHECK_FALSE(items.try_send(9));
    std::vector<int> sent;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(send_one, std::ref(items), 3, std::ref(sent));
      co_await settle();
      CHECK(sent.empty());
      const auto first = co_await items.receive();
      CHECK(first == 0);
      co_await settle();
      CHECK(sent == std::vector<int>{3});
      CHECK(items.size() == 3);
    });
  });
}

TEST_CASE("channel: an unbounded one never lets a sender wait") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(unbounded);
    for (int i = 0; i < 10'000; ++i) REQUIRE(items.try_send(i));
    CHECK(items.size() == 10'000);
    items.close();
    std::vector<int> got;
    co_await receive_into(items, got);
    CHECK(got == numbers(10'000));
  });
}

TEST_CASE("channel: without a capacity a send is over when the item is received, and not before") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(0);
    CHECK_FALSE(items.try_send(1));
    std::vector<int> sent;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(send_one, std::ref(items), 1, std::ref(sent));
      co_await settle();
      CHECK(sent.empty());
      CHECK(items.size() == 0);
      const auto one = co_await items.receive();
      CHECK(one == 1);
      co_await settle();
      CHECK(sent == std::vector<int>{1});

      n.spawn(send_one, std::ref(items), 2, std::ref(sent));
      co_await settle();
      CHECK(items.try_receive() == 2);
      CHECK_FALSE(items.try_receive().has_value());

      pairs got;
      n.spawn(receive_one, std::ref(items), 0, std::ref(got));
      co_await settle();
      CHECK(items.try_send(3));
      CHECK_FALSE(items.try_send(4));
      co_await settle();
      CHECK(got == pairs{{0, 3}});
    });
  });
}

TEST_CASE("channel: senders that wait get in in the order of asking") {
  for (const std::size_t capacity : {0, 1, 2}) {
    kit::in_every_order([&](simulation&) -> task<> {
      channel<int> items(capacity);
      std::vector<int> sent, got;
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 8; ++i) {
          n.spawn(send_one, std::ref(items), i, std::ref(sent));
          co_await settle();
        }
        CHECK(sent.size() == capacity);
        for (int i = 0; i < 8; ++i) {
          const auto item = co_await items.receive();
          got.push_back(item.value_or(-1));
          co_await settle();
        }
      });
      CHECK(got == numbers(8));
      CHECK(sent == numbers(8));
    });
  }
}

TEST_CASE("channel: receivers that wait are served in the order of asking") {
  with_channels([](channel<int>& items) -> task<> {
    pairs got;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 5; ++i) {
        n.spawn(receive_one, std::ref(items), i, std::ref(got));
        co_await settle();
      }
      for (int i = 0; i < 5; ++i) {
        CHECK(items.try_send(10 + i));
        co_await settle();
      }
    });
    CHECK(got == pairs{{0, 10}, {1, 11}, {2, 12}, {3, 13}, {4, 14}});
  });
}

TEST_CASE("channel: an item that comes while a receiver waits is that receiver's, and nobody else gets it first") {
  with_channels([](channel<int>& items) -> task<> {
    pairs got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(receive_one, std::ref(items), 0, std::ref(got));
      co_await settle();
      CHECK(items.try_send(7));
      CHECK_FALSE(items.try_receive().has_value());
      CHECK(items.size() == 0);
    });
    CHECK(got == pairs{{0, 7}});
  });
}

TEST_CASE("channel: try_send does not overtake a sender that waits") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(1);
    std::vector<int> sent;
    co_await with_nursery([&](nursery& n) -> task<> {
      CHECK(items.try_send(0));
      n.spawn(send_one, std::ref(items), 1, std::ref(sent));
      co_await settle();
      CHECK(items.try_receive() == 0);
      CHECK_FALSE(items.try_send(2));
      CHECK(items.try_receive() == 1);
      CHECK(items.try_send(3));
      CHECK(items.try_receive() == 3);
    });
  });
}

TEST_CASE("channel: a function that another thread posts can send") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(unbounded);
    this_scheduler().post([&] { items.try_send(5); });
    const auto item = co_await items.receive();
    CHECK(item == 5);
  });
}

// --- The end

TEST_CASE("channel: after close nothing is sent, and what is there can still be received") {
  with_channels([](channel<int>& items) -> task<> {
    const bool some = items.try_send(1);
    CHECK_FALSE(items.closed());
    items.close();
    items.close();
    CHECK(items.closed());
    CHECK_FALSE(items.try_send(2));
    const bool sent = co_await items.send(3);
    CHECK_FALSE(sent);
    if (some) {
      const auto item = co_await items.receive();
      CHECK(item == 1);
    }
    for (int i = 0; i < 3; ++i) {
      const auto end = co_await items.receive();
      CHECK_FALSE(end.has_value());
      CHECK_FALSE(items.try_receive().has_value());
    }
  });
}

TEST_CASE("channel: close tells the senders that wait, and their items do not get in") {
  for (const std::size_t capacity : {0, 1, 3}) {
    kit::in_every_order([&](simulation&) -> task<> {
      channel<int> items(capacity);
      std::vector<int> sent, got;
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 6; ++i) {
          n.spawn(send_one, std::ref(items), i, std::ref(sent));
          co_await settle();
        }
        items.close();
        co_await receive_into(items, got);
      });
      CHECK(got == numbers(static_cast<int>(capacity)));
      CHECK(sent == got);
    });
  }
}

TEST_CASE("channel: close tells the receivers that wait, also when the channel is gone before they go on") {
  kit::in_every_order([](simulation&) -> task<> {
    auto items = std::make_unique<channel<int>>(2);
    int ended = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 3; ++i) {
        n.spawn([&]() -> task<> {
          const auto item = co_await items->receive();
          CHECK_FALSE(item.has_value());
          ++ended;
        });
      }
      co_await settle();
      items->close();
      items.reset();
    });
    CHECK(ended == 3);
  });
}

TEST_CASE("channel: an item that was handed over before close is received") {
  with_channels([](channel<int>& items) -> task<> {
    pairs got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(receive_one, std::ref(items), 0, std::ref(got));
      n.spawn(receive_one, std::ref(items), 1, std::ref(got));
      co_await settle();
      items.try_send(4);
      items.close();
    });
    REQUIRE(got.size() == 1);
    CHECK(got[0].second == 4);
  });
}

// --- Cancellation

TEST_CASE("channel: a receiver that is cancelled gives way to the next one") {
  with_channels([](channel<int>& items) -> task<> {
    pairs got;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto first = n.spawn(receive_one, std::ref(items), 0, std::ref(got));
      co_await settle();
      n.spawn(receive_one, std::ref(items), 1, std::ref(got));
      co_await settle();
      first.cancel();
      CHECK(items.try_send(5));
    });
    CHECK(got == pairs{{1, 5}});
  });
}

TEST_CASE("channel: a sender that is cancelled has not sent, and gives way to the next one") {
  for (const std::size_t capacity : {0, 1}) {
    kit::in_every_order([&](simulation&) -> task<> {
      channel<int> items(capacity);
      std::vector<int> sent, got;
      co_await with_nursery([&](nursery& n) -> task<> {
        for (std::size_t i = 0; i < capacity; ++i) items.try_send(0);
        auto first = n.spawn(send_one, std::ref(items), 1, std::ref(sent));
        co_await settle();
        n.spawn(send_one, std::ref(items), 2, std::ref(sent));
        co_await settle();
        first.cancel();
        for (std::size_t i = 0; i <= capacity; ++i) {
          const auto item = co_await items.receive();
          got.push_back(item.value_or(-1));
        }
        CHECK_FALSE(items.try_receive().has_value());
      });
      CHECK(sent == std::vector<int>{2});
      CHECK(got.back() == 2);
    });
  }
}

TEST_CASE("channel: what has happened is reported to a task that is cancelled after it, and the next await throws") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(0);
    int got = 0;
    bool sent = false;
    int beyond = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto receives = n.spawn([&]() -> task<> {
        got = (co_await items.receive()).value_or(-1);
        co_await yield_now();
        ++beyond;
      });
      co_await settle();
      items.try_send(5);
      receives.cancel();
      co_await settle();

      auto sends = n.spawn([&]() -> task<> {
        sent = co_await items.send(6);
        co_await yield_now();
        ++beyond;
      });
      co_await settle();
      CHECK(items.try_receive() == 6);
      sends.cancel();
    });
    CHECK(got == 5);
    CHECK(sent);
    CHECK(beyond == 0);
  });
}

TEST_CASE("channel: a task that is cancelled already neither sends nor receives") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(3);
    items.try_send(1);
    cancel_scope scope;
    scope.cancel();
    const auto receives = [&]() -> task<> { co_await items.receive(); };
    const auto sends = [&]() -> task<> { co_await items.send(2); };
    const bool received = co_await scope.run(receives);
    cancel_scope other;
    other.cancel();
    const bool sent = co_await other.run(sends);
    CHECK_FALSE(received);
    CHECK_FALSE(sent);
    CHECK(items.size() == 1);
  });
}

TEST_CASE("channel: a time limit around receive loses no item, whenever it ends") {
  kit::for_each_seed(20, [](std::uint64_t seed) {
    for (const std::size_t capacity : capacities) {
      simulation world;
      kit::random draw(seed);
      run(world.how().seed(seed), [&]() -> task<> {
        channel<int> items(capacity);
        std::vector<int> got;
        co_await with_nursery([&](nursery& n) -> task<> {
          n.spawn([&]() -> task<> {
            for (int i = 0; i < 200; ++i) {
              co_await sleep_for(draw.below(4) * 1us);
              co_await items.send(i);
            }
            items.close();
          });
          bool ended = false;
          for (int reads = 0; !ended; ++reads) {
            REQUIRE(reads < 10'000);
            const auto in_time = co_await move_on_after(draw.below(4) * 1us, items.receive());
            if (in_time && *in_time) got.push_back(**in_time);
            ended = in_time && !*in_time;
          }
        });
        REQUIRE(got == numbers(200));
      });
    }
  });
}

TEST_CASE("channel: a time limit around send says whether the item was sent") {
  kit::for_each_seed(20, [](std::uint64_t seed) {
    for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
      simulation world;
      kit::random draw(seed);
      run(world.how().seed(seed), [&]() -> task<> {
        channel<int> items(capacity);
        std::vector<int> sent, got;
        co_await with_nursery([&](nursery& n) -> task<> {
          n.spawn([&]() -> task<> {
            for (int i = 0; i < 200; ++i) {
              const auto in_time = co_await move_on_after(draw.below(4) * 1us, items.send(i));
              if (in_time && *in_time) sent.push_back(i);
            }
            items.close();
          });
          for (bool ended = false; !ended;) {
            co_await sleep_for(draw.below(4) * 1us);
            const auto item = co_await items.receive();
            if (item) got.push_back(*item);
            ended = !item;
          }
        });
        REQUIRE(got == sent);
      });
    }
  });
}

TEST_CASE("channel: an item that lost a race stays for the next receiver") {
  with_channels([](channel<int>& items) -> task<> {
    channel<int> others(1);
    others.try_send(1);
    const auto [lost, won] = co_await when_any(items.receive(), others.receive());
    REQUIRE(won.has_value());
    CHECK(*won == 1);
    CHECK_FALSE(lost.has_value());
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(send_numbers, std::ref(items), 2, 1);
      const auto item = co_await items.receive();
      CHECK(item == 2);
    });
  });
}

namespace {

/// Some tasks that send and some that receive, of which one is cancelled at a point that the test chooses.
class crowd {
 public:
  static constexpr std::size_t senders = 3, receivers = 3;
  static constexpr int each = 6;

  crowd(nursery& n, std::size_t capacity) : items_(capacity) {
    for (std::size_t i = 0; i < senders; ++i) {
      jobs_.push_back(n.spawn([this](int first) -> task<> { co_await send(first); }, static_cast<int>(i) * each));
    }
    for (std::size_t i = 0; i < receivers; ++i)
      jobs_.push_back(n.spawn([this]() -> task<> { co_await receive_into(items_, got_); }));
  }

  void cancel(std::size_t who) { jobs_[who].cancel(); }

  /// Ends it once all senders are done, and takes what the receivers have not.
  task<> finish() {
    co_await wait_for(0, senders);
    items_.close();
    co_await wait_for(senders, senders + receivers);
    while (const auto item = items_.try_receive()) got_.push_back(*item);
  }

  /// What was sent arrived once; what was not did not.
  bool is_right() {
    std::sort(sent_.begin(), sent_.end());
    std::sort(got_.begin(), got_.end());
    return sent_ == got_;
  }

 private:
  task<> wait_for(std::size_t first, std::size_t last) {
    for (std::size_t who = first; who < last; ++who) {
      for (int waits = 0; !jobs_[who].done(); ++waits) {
        REQUIRE(waits < 100);
        co_await settle();
      }
    }
  }

  task<> send(int first) {
    for (int i = first; i < first + each; ++i) {
      const bool sent = co_await items_.send(i);
      if (sent) sent_.push_back(i);
    }
  }

  channel<int> items_;
  std::vector<job<void>> jobs_;
  std::vector<int> sent_, got_;
};

}  // namespace

TEST_CASE("channel: many senders and receivers lose and double nothing, whoever of them is cancelled, and when") {
  for (const std::size_t capacity : capacities) {
    for (std::size_t who = 0; who < crowd::senders + crowd::receivers; ++who) {
      for (int turns = 1; turns < 12; ++turns) {
        INFO("capacity " << capacity << ", task " << who << " is cancelled after " << turns << " turns");
        kit::in_every_order([&](simulation&) -> task<> {
          co_await with_nursery([&](nursery& n) -> task<> {
            crowd tasks(n, capacity);
            for (int i = 0; i < turns; ++i) co_await yield_now();
            tasks.cancel(who);
            co_await tasks.finish();
            REQUIRE(tasks.is_right());
          });
        });
      }
    }
  }
}

// --- Fairness

TEST_CASE("channel: a task that only receives what is there lets others have their turn") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(unbounded);
    int turns_of_other = 0;
    for (int i = 0; i < 10'000; ++i) items.try_send(i);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      for (int i = 0; i < 10'000; ++i) {
        const auto item = co_await items.receive();
        REQUIRE(item == i);
      }
      n.cancel();
    });
    CHECK(turns_of_other > 50);
  });
}

TEST_CASE("channel: a task that only sends what there is room for lets others have their turn, also after close") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(unbounded);
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(kit::count_turns, std::ref(turns_of_other));
      co_await send_numbers(items, 0, 10'000);
      CHECK(turns_of_other > 50);
      turns_of_other = 0;
      items.close();
      for (int i = 0; i < 10'000; ++i) co_await items.send(i);
      CHECK(turns_of_other > 50);
      n.cancel();
    });
    CHECK(items.size() == 10'000);
  });
}

TEST_CASE("channel: a receiver that had its share keeps its item when it is cancelled before it goes on") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> items(unbounded);
    std::vector<int> got;
    for (int i = 0; i < 1'000; ++i) items.try_send(i);
    co_await with_nursery([&](nursery& n) -> task<> {
      auto receives = n.spawn(receive_into, std::ref(items), std::ref(got));
      while (got.empty()) co_await yield_now();
      receives.cancel();
    });
    CHECK(got.size() + items.size() == 1'000);
    CHECK(got == numbers(static_cast<int>(got.size())));
  });
}

// --- What an item can be

namespace {

/// Can be moved, and nothing else.
class parcel {
 public:
  explicit parcel(int number) : number_(std::make_unique<const int>(number)) {}
  parcel(parcel&&) = default;
  parcel& operator=(parcel&&) = delete;
  int number() const { return number_ == nullptr ? -1 : *number_; }

 private:
  std::unique_ptr<const int> number_;
};

/// Made in one expression, without a constructor of its own.
struct request {
  std::string text;
  int number;
};

}  // namespace

TEST_CASE("channel: items need neither a default constructor nor a copy nor an assignment") {
  for (const std::size_t capacity : capacities) {
    kit::in_every_order([&](simulation&) -> task<> {
      channel<parcel> items(capacity);
      int sum = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          for (int i = 0; i < 200; ++i) co_await items.send(parcel(i));
          items.close();
        });
        while (const auto item = co_await items.receive()) sum += item->number();
      });
      CHECK(sum == 199 * 100);
    });
  }
}

TEST_CASE("channel: an item that was not sent by try_send has not been moved") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<parcel> items(1);
    parcel first(1), second(2);
    CHECK(items.try_send(std::move(first)));
    CHECK_FALSE(items.try_send(std::move(second)));
    CHECK(second.number() == 2);
    items.close();
    CHECK_FALSE(items.try_send(std::move(second)));
    CHECK(second.number() == 2);
    co_return;
  });
}

TEST_CASE("channel: an item can be moved in, copied, or made in place") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<request> items(unbounded);
    request mine;
    mine.text = "a text that is too long to be stored inside the string";
    mine.number = 1;
    co_await items.send(mine);
    CHECK(items.try_send(mine));
    CHECK_FALSE(mine.text.empty());
    co_await items.send(std::in_place, std::move(mine));
    for (int i = 0; i < 3; ++i) {
      const auto item = co_await items.receive();
      REQUIRE(item.has_value());
      CHECK(item->text.size() == 54);
    }
  });
}

TEST_CASE("channel: every item is destroyed once, sent, received, left behind or turned away") {
  for (const std::size_t capacity : capacities) {
    kit::tally count;
    kit::in_every_order([&](simulation&) -> task<> {
      channel<kit::balanced> items(capacity);
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          for (int i = 0; i < 40; ++i) co_await items.send(kit::balanced(count));
        });
        for (int i = 0; i < 5; ++i) {
          const auto item = co_await items.receive();
          REQUIRE(item.has_value());
          CHECK(item->text().size() > 40);
        }
        n.cancel();
      });
      items.close();
      co_await items.send(kit::balanced(count));
    });
    CHECK(count.alive == 0);
    CHECK(count.made > 0);
  }
}

TEST_CASE("channel: when moving an item throws, whoever moved it is told, and the channel goes on") {
  for (const std::size_t capacity : capacities) {
    for (int moves = 0; moves < 40; ++moves) {
      INFO("capacity " << capacity << ", after " << moves << " moves");
      simulation world;
      run(world.how(), [&]() -> task<> {
        channel<kit::fragile> items(capacity);
        int thrown = 0;
        std::vector<int> sent, got;
        kit::fragile::moves_left = moves;
        const auto send = [&](int i) -> task<> {
          const bool accepted = co_await items.send(std::in_place, i);
          if (accepted) sent.push_back(i);
        };
        const auto receive = [&]() -> task<> {
          const auto item = co_await items.receive();
          if (item) got.push_back(item->number());
        };
        co_await with_nursery([&](nursery& n) -> task<> {
          n.spawn([&]() -> task<> {
            for (int i = 0; i < 10; ++i) {
              const auto error = co_await kit::thrown_by<std::runtime_error>([&] { return send(i); });
              thrown += error ? 1 : 0;
            }
            items.close();
          });
          bool ended = false;
          for (int tries = 0; !ended; ++tries) {
            REQUIRE(tries < 30);
            const std::size_t before = got.size();
            const auto error = co_await kit::thrown_by<std::runtime_error>(receive);
            thrown += error ? 1 : 0;
            ended = !error && got.size() == before;
          }
        });
        kit::fragile::moves_left = -1;
        CHECK(thrown <= 1);
        CHECK(sent.size() >= got.size());
        CHECK(sent.size() + static_cast<std::size_t>(thrown) >= 10);
        CHECK(got.size() + static_cast<std::size_t>(thrown) >= 10);
        CHECK(std::is_sorted(got.begin(), got.end()));
      });
    }
  }
}

TEST_CASE("channel: an unbounded one goes on when a move throws while it grows") {
  simulation world;
  run(world.how(), []() -> task<> {
    channel<kit::fragile> items(unbounded);
    int sent = 0;
    for (int i = 0; i < 1'000; ++i) {
      kit::fragile::moves_left = i % 7 == 0 ? 0 : -1;
      try {
        sent += items.try_send(kit::fragile(i)) ? 1 : 0;
      } catch (const std::runtime_error&) {
      }
    }
    kit::fragile::moves_left = -1;
    CHECK(items.size() == static_cast<std::size_t>(sent));
    std::vector<int> got;
    while (const auto item = items.try_receive()) got.push_back(item->number());
    CHECK(got.size() == static_cast<std::size_t>(sent));
    CHECK(std::is_sorted(got.begin(), got.end()));
    co_return;
  });
}

// --- In dumps

TEST_CASE("channel: a dump says who sends to one, and who receives") {
  kit::in_every_order([](simulation&) -> task<> {
    channel<int> empty(1), full(0);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(name("consumer"), [&]() -> task<> { co_await empty.receive(); });
      n.spawn(name("producer"), [&]() -> task<> { co_await full.send(1); });
      co_await settle();
      CHECK_THAT(dump_tasks(), kit::contains("\"consumer\": receive from a channel"));
      CHECK_THAT(dump_tasks(), kit::contains("\"producer\": send to a channel"));
      n.cancel();
    });
  });
}
