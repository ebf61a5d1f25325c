// Tests of ringlet/mt_channel.hpp, as far as one loop shows it; with threads: tests/kernel/test_mt_channel.cpp.
#include "kit/counted.hpp"
#include "kit/sim.hpp"

#include <ringlet/as_result.hpp>
#include <ringlet/cancel.hpp>
#include <ringlet/mt_channel.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_any.hpp>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

task<> send_numbers(mt_channel<int>& to, int count) {
  for (int i = 0; i < count; ++i) {
    const bool taken = co_await to.send(i);
    CHECK(taken);
  }
}

task<std::vector<int>> receive_all(mt_channel<int>& from) {
  std::vector<int> got;
  while (const auto value = co_await from.receive()) got.push_back(*value);
  co_return got;
}

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

TEST_CASE("mt_channel: values come in the order of sending, whatever the capacity, and then the end") {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{7}, mt_channel<int>::unbounded}) {
    kit::in_every_order([=](simulation&) -> task<> {
      mt_channel<int> c(capacity);
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          co_await send_numbers(c, 300);
          c.close();
        });
        const std::vector<int> got = co_await receive_all(c);
        CHECK(got == numbers(300));
      });
    });
  }
}

TEST_CASE("mt_channel: as many values fit as its capacity says, and then senders wait in the order of asking") {
  simulation world;
  run(world.how(), [&]() -> task<> {
    mt_channel<int> c(2);
    CHECK(c.try_send(0));
    CHECK(c.try_send(1));
    CHECK_FALSE(c.try_send(9));
    CHECK(c.size() == 2);
    int sent = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 2; i < 5; ++i) {
        n.spawn(
            [&](int value) -> task<> {
              co_await c.send(value);
              ++sent;
            },
            i);
      }
      co_await sleep_for(1ms);
      CHECK(sent == 0);
      for (int i = 0; i < 5; ++i) {
        const auto value = co_await c.receive();
        CHECK(value == i);
        CHECK_FALSE(c.try_send(9));  // the place belongs to who has waited for it
        co_await sleep_for(1ms);
        CHECK(sent == std::min(i + 1, 3));
        if (i == 2) break;
      }
    });
    CHECK(c.try_receive() == 3);
    CHECK(c.try_receive() == 4);
    CHECK(c.try_receive() == std::nullopt);
    CHECK_FALSE(c.closed());
  });
}

TEST_CASE("mt_channel: without capacity a sender waits until a task has the value, and try_send never succeeds") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(0);
    bool sent = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { sent = co_await c.send(1); });
      co_await sleep_for(1ms);
      CHECK_FALSE(sent);
      CHECK_FALSE(c.try_send(2));
      const auto value = co_await c.receive();
      CHECK(value == 1);
    });
    CHECK(sent);
  });
}

TEST_CASE("mt_channel: a task that waits owns the next value, and try_receive cannot snatch it") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(4);
    std::optional<int> got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { got = co_await c.receive(); });
      co_await sleep_for(1ms);
      CHECK(c.try_send(1));
      CHECK(c.try_receive() == std::nullopt);
      co_await sleep_for(1ms);
      CHECK(got == 1);
    });
  });
}

TEST_CASE("mt_channel: tasks that wait are served in the order of asking") {
  simulation world;
  std::string order;
  run(world.how(), [&]() -> task<> {
    mt_channel<int> c(8);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const char who : {'a', 'b', 'c'}) {
        n.spawn(
            [&](char me) -> task<> {
              const auto got = co_await c.receive();
              order += me + std::to_string(*got);
            },
            who);
      }
      co_await sleep_for(1ms);
      for (int i = 1; i <= 3; ++i) CHECK(c.try_send(i));
    });
  });
  CHECK(order == "a1b2c3");
}

TEST_CASE("mt_channel: a cancelled receiver takes nothing, and what comes is for the next one") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(4);
    co_await with_nursery([&](nursery& n) -> task<> {
      auto first = n.spawn([&]() -> task<> { co_await c.receive(); });
      co_await sleep_for(1ms);
      CHECK(c.try_send(1));
      first.cancel();  // the news of the value is on its way
      const auto value = co_await c.receive();
      CHECK(value == 1);
    });
    const auto late = co_await move_on_after(1ms, c.receive());
    CHECK_FALSE(late.has_value());
    CHECK(c.try_send(2));
    CHECK(c.try_receive() == 2);
  });
}

TEST_CASE("mt_channel: of a value and a time limit at the same moment neither is lost") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(4);
    int received = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (int i = 0; i < 20; ++i) {
          co_await sleep_for(1ms);
          co_await c.send(i);
        }
        c.close();
      });
      for (int tries = 0; tries < 1000; ++tries) {
        const auto got = co_await move_on_after(1ms, c.receive());
        if (!got) continue;
        if (!*got) break;
        CHECK(**got == received);
        ++received;
      }
    });
    CHECK(received == 20);
  });
}

TEST_CASE("mt_channel: a loser of when_any leaves the value in the channel") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> a(1), b(1);
    CHECK(a.try_send(1));
    auto both = co_await when_any(a.receive(), b.receive());
    CHECK(std::get<0>(both) == std::optional<std::optional<int>>(1));
    CHECK(b.try_send(2));
    CHECK(b.try_receive() == 2);
  });
}

TEST_CASE("mt_channel: a cancelled sender's value is not taken, and the others keep their order") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(1);
    CHECK(c.try_send(0));
    co_await with_nursery([&](nursery& n) -> task<> {
      auto first = n.spawn([&]() -> task<> { co_await c.send(1); });
      co_await sleep_for(1ms);
      n.spawn([&]() -> task<> { co_await c.send(2); });
      co_await sleep_for(1ms);
      first.cancel();
      co_await sleep_for(1ms);
      const auto one = co_await c.receive();
      CHECK(one == 0);
      const auto two = co_await c.receive();
      CHECK(two == 2);
    });
    CHECK(c.try_receive() == std::nullopt);
  });
}

TEST_CASE("mt_channel: a sender whose value was taken before the cancel request hears that it was") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(1);
    CHECK(c.try_send(0));
    bool taken = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto sender = n.spawn([&]() -> task<> { taken = co_await c.send(1); });
      co_await sleep_for(1ms);
      CHECK(c.try_receive() == 0);
      sender.cancel();
    });
    CHECK(taken);
    CHECK(c.try_receive() == 1);
  });
}

TEST_CASE("mt_channel: close() lets what is in it be received, refuses the rest, and wakes everybody who waits") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> full(1), empty(1);
    CHECK(full.try_send(1));
    std::optional<bool> taken;
    bool ended = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { taken = co_await full.send(2); });
      n.spawn([&]() -> task<> {
        const auto value = co_await empty.receive();
        ended = !value.has_value();
      });
      co_await sleep_for(1ms);
      full.close();
      empty.close();
      full.close();
    });
    CHECK(taken == false);
    CHECK(ended);
    CHECK(full.closed());
    CHECK_FALSE(full.try_send(3));
    const bool late = co_await full.send(3);
    CHECK_FALSE(late);
    const auto left = co_await full.receive();
    CHECK(left == 1);
    const auto end = co_await full.receive();
    CHECK_FALSE(end.has_value());
  });
}

TEST_CASE("mt_channel: a cancelled task neither sends nor receives") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(4);
    CHECK(c.try_send(1));
    co_await with_nursery([&](nursery& n) -> task<> {
      n.cancel();
      const auto sends = [&]() -> task<> { co_await c.send(2); };
      const auto receives = [&]() -> task<> { co_await c.receive(); };
      for (int kind = 0; kind < 2; ++kind) {
        bool refused = false;
        try {
          if (kind == 0) co_await sends();
          co_await receives();
        } catch (const cancelled&) {
          refused = true;
        }
        CHECK(refused);
      }
    });
    CHECK(c.size() == 1);
  });
}

TEST_CASE("mt_channel: values that only move come through, and what is left in it is destroyed with it") {
  kit::tally count;
  kit::in_every_order([&](simulation&) -> task<> {
    mt_channel<std::unique_ptr<kit::balanced>> c(20);
    for (int i = 0; i < 20; ++i) {
      const bool taken = co_await c.send(std::make_unique<kit::balanced>(count));
      CHECK(taken);
    }
    const auto one = co_await c.receive();
    CHECK((*one)->text().size() > 20);
    CHECK(count.alive == 20);
  });
  CHECK(count.alive == 0);
}

TEST_CASE("mt_channel: try_send leaves a value that it does not take as it was") {
  simulation world;
  run(world.how(), []() -> task<> {
    mt_channel<std::string> c(1);
    std::string first(100, 'x'), second(100, 'y');
    CHECK(c.try_send(std::move(first)));
    CHECK_FALSE(c.try_send(std::move(second)));
    CHECK(second.size() == 100);
    co_return;
  });
}

TEST_CASE("mt_channel: a task that sends and one that receives without ever waiting let others run") {
  kit::in_every_order([](simulation&) -> task<> {
    mt_channel<int> c(mt_channel<int>::unbounded);
    bool other_ran = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        other_ran = true;
        co_return;
      });
      for (int i = 0; i < 1000; ++i) co_await c.send(i);
      CHECK(other_ran);
      other_ran = false;
      n.spawn([&]() -> task<> {
        other_ran = true;
        co_return;
      });
      for (int i = 0; i < 1000; ++i) co_await c.receive();
      CHECK(other_ran);
    });
  });
}

TEST_CASE("mt_channel: the dump says who waits at a channel") {
  simulation world;
  run(world.how(), []() -> task<> {
    mt_channel<int> c(0), d(0);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await c.send(1); });
      n.spawn([&]() -> task<> { co_await d.receive(); });
      co_await sleep_for(1ms);
      CHECK_THAT(dump_tasks(), kit::contains("send to a channel"));
      CHECK_THAT(dump_tasks(), kit::contains("receive from a channel"));
      n.cancel();
    });
  });
}

TEST_CASE("mt_channel: blocking_send() on the thread of a loop is an error") {
  simulation world;
  run(world.how(), []() -> task<> {
    mt_channel<int> c(1);
    CHECK_THROWS_AS(c.blocking_send(1), std::logic_error);
    co_return;
  });
}

TEST_CASE("mt_channel: when the loop ends the channel closes, and the next loop gets what was left in it") {
  mt_channel<int> c(4);
  simulation first, second;
  run(first.how(), [&]() -> task<> {
    CHECK(c.try_send(1));
    CHECK(c.try_send(2));
    const auto one = co_await c.receive();
    CHECK(one == 1);
  });
  CHECK(c.closed());
  CHECK_FALSE(c.try_send(3));
  run(second.how(), [&]() -> task<> {
    const std::vector<int> left = co_await receive_all(c);
    CHECK(left == std::vector<int>{2});
  });
}
