// Tests of testing.hpp and fault_plan.hpp: the simulated world does what it says, and its faults come when they are
// said to.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

std::span<std::byte> into(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}

task<std::size_t> read_at_most(socket_stream& from, std::size_t size) {
  std::string buffer(size, ' ');
  const std::size_t got = co_await from.read_some(into(buffer));
  co_return got;
}

/// The error of one read of one byte; 0 for none.
task<int> read_error(socket_stream& from) {
  std::string buffer(1, ' ');
  const result<std::size_t> got = co_await as_result(from.read_some(into(buffer)));
  co_return got ? 0 : got.error().value();
}

/// body: (simulation&) -> task<>
template <class Body>
void in_world(fault_plan faults, Body body) {
  simulation world(std::move(faults));
  kit::run_to_the_end(world.how(), [&] { return body(world); });
}

time_point now() {
  return this_scheduler().now();
}

}  // namespace

TEST_CASE("simulation: time passes only when all tasks wait, and then at once") {
  const auto real_start = std::chrono::steady_clock::now();
  in_world({}, [](simulation& world) -> task<> {
    const time_point start = now();
    for (int i = 0; i < 1000; ++i) co_await yield_now();
    CHECK(now() == start);
    co_await sleep_for(24h);
    CHECK(now() - start == 24h);
    CHECK(world.clock().now() == now());
  });
  CHECK(std::chrono::steady_clock::now() - real_start < 30s);
}

TEST_CASE("simulation: the two ends of a connection are each other's") {
  in_world({}, [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    CHECK(a.fd() != b.fd());
    co_await a.write_all("to b");
    co_await b.write_all("to a!");
    const std::size_t at_b = co_await read_at_most(b, 100);
    const std::size_t at_a = co_await read_at_most(a, 100);
    CHECK(at_b == 4);
    CHECK(at_a == 5);
  });
}

TEST_CASE("simulation: one end may be as far ahead of the other as the capacity says, and no further") {
  for (const std::size_t capacity : {1u, 10u, 1000u}) {
    in_world({}, [&](simulation& world) -> task<> {
      auto [a, b] = world.connection(capacity);
      const std::string text(2 * capacity, 'x');
      std::size_t sent = 0;
      const bool finished = co_await move_on_after(1s, a.write_all(text, sent));
      CHECK_FALSE(finished);
      CHECK(sent == capacity);
    });
  }
}

TEST_CASE("simulation: connections wait until they are accepted, in the order of connecting") {
  in_world({}, [](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 3; ++i)
      clients.push_back(i == 1 ? world.connect_to(listener.fd()) : world.connect_to(listener));
    for (std::size_t i = 0; i < 3; ++i) co_await clients[i].write_all(std::string(i + 1, 'x'));
    for (std::size_t i = 0; i < 3; ++i) {
      tcp_stream server = co_await listener.accept();
      const std::size_t got = co_await read_at_most(server, 10);
      CHECK(got == i + 1);
    }
    const bool more = (co_await move_on_after(1s, listener.accept())).has_value();
    CHECK_FALSE(more);
  });
}

TEST_CASE("simulation: a listener that closes closes what it has not accepted") {
  in_world({}, [](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    co_await listener.close();
    const std::size_t got = co_await read_at_most(client, 10);
    CHECK(got == 0);
  });
}

TEST_CASE("simulation: a script says what operations on a descriptor give, one after the other, and when") {
  in_world({}, [](simulation& world) -> task<> {
    const unique_fd fd = world.blank();
    world.script(operation::read, fd.get(), 3, 10ms);
    world.script(operation::read, fd.get(), -EIO);
    world.script(operation::write, fd.get(), 2, 1h);
    const time_point start = now();
    std::byte buffer[8];
    const std::size_t first = co_await read_some(fd.get(), buffer);
    CHECK(first == 3);
    CHECK(now() - start == 10ms);
    const result<std::size_t> second = co_await as_result(read_some(fd.get(), buffer));
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().value() == EIO);
    CHECK(now() - start == 10ms);
    const std::size_t written = co_await write_some(fd.get(), buffer);
    CHECK(written == 2);
    CHECK(now() - start == 1h + 10ms);
  });
}

TEST_CASE("simulation: a reset ends what is under way with ECONNRESET, and what was not read is gone") {
  in_world({}, [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    co_await a.write_all("lost");
    world.reset(b);
    const int error = co_await read_error(b);
    CHECK(error == ECONNRESET);
  });
}

TEST_CASE("simulation: counts the operations of each kind that were asked for") {
  in_world({}, [](simulation& world) -> task<> {
    CHECK(world.asked(operation::send) == 0);
    auto [a, b] = world.connection();
    for (int i = 0; i < 3; ++i) co_await a.write_all("x");
    co_await read_at_most(b, 10);
    CHECK(world.asked(operation::send) == 3);
    CHECK(world.asked(operation::receive) == 1);
    CHECK(world.asked(operation::accept) == 0);
  });
}

TEST_CASE("simulation: where nothing can happen any more the run fails with the tree of tasks") {
  std::string tree;
  try {
    in_world({}, [](simulation& world) -> task<> {
      auto [a, b] = world.connection();
      co_await read_at_most(a, 1);
    });
  } catch (const deadlock_error& e) {
    tree = e.what();
  }
  CHECK_THAT(tree, kit::contains("receive fd"));
}

TEST_CASE("simulation: the same seed gives the same run, with faults and all") {
  const auto trace = [](std::uint64_t seed) {
    std::string order;
    simulation world(fault_plan().reorder(seed).delay(1ms).shorten(2));
    run(world.how().seed(seed), [&]() -> task<> {
      auto [a, b] = world.connection(8);
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { co_await a.write_all("0123456789"); });
        n.spawn([&]() -> task<> {
          for (std::size_t got = 0; got < 10;) {
            const std::size_t now = co_await read_at_most(b, 3);
            got += now;
            order += static_cast<char>('0' + now);
          }
        });
        for (char name = 'a'; name < 'f'; ++name) {
          n.spawn(
              [&](char who) -> task<> {
                for (int i = 0; i < 3; ++i) {
                  order += who;
                  co_await sleep_for(1ms);
                }
              },
              name);
        }
        co_return;
      });
    });
    return order;
  };
  for (std::uint64_t seed = 1; seed <= 10; ++seed) CHECK(trace(seed) == trace(seed));
  CHECK(trace(1) != trace(2));
}

// So that short turns, of which nobody shall notice anything, are tried by all tests here.
TEST_CASE("simulation: tasks that only take turns with each other ask nothing of the world, as on the kernel") {
  in_world({}, [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    co_await a.write_all("to be read meanwhile");
    std::array<std::byte, 64> buffer{};
    co_await yield_now();  // so that the world has nothing to tell
    const statistics before = this_scheduler().stats();
    const auto take_turns = []() -> task<> {
      for (int i = 0; i < 1000; ++i) co_await yield_now();
    };
    co_await when_all(take_turns(), take_turns());
    const statistics after = this_scheduler().stats();
    CHECK(after.turns - before.turns >= 1000);
    CHECK(after.enters - before.enters < 5);
    const std::size_t got = co_await b.read_some(buffer);
    CHECK(got == 20);
  });
}

TEST_CASE("settle: comes back when every other task waits, and takes next to no time") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      int steps = 0;
      for (int i = 0; i < 5; ++i) {
        n.spawn([&]() -> task<> {
          for (int at = 0; at < 10; ++at) {
            ++steps;
            co_await yield_now();
          }
          co_await sleep_for(1h);
        });
      }
      const time_point start = now();
      co_await settle();
      CHECK(steps == 50);
      CHECK(now() - start < 1us);
      n.cancel();
    });
  });
}

TEST_CASE("settle: in a cancelled scope it throws like every await") {
  in_world({}, [](simulation&) -> task<> {
    cancel_scope scope;
    scope.cancel();
    const auto body = []() -> task<> { co_await settle(); };
    const bool finished = co_await scope.run(body);
    CHECK_FALSE(finished);
  });
}

TEST_CASE("fault_plan: the nth operation of a kind fails, and has no effect") {
  in_world(fault_plan().fail(operation::send, 2, EIO).fail(operation::receive, 1, ENOMEM),
           [](simulation& world) -> task<> {
             auto [a, b] = world.connection();
             co_await a.write_all("one");
             bool failed = false;
             try {
               co_await a.write_all("two");
             } catch (const os_error& e) {
               failed = e.code().value() == EIO;
             }
             CHECK(failed);
             co_await a.write_all("three");
             const int error = co_await read_error(b);
             CHECK(error == ENOMEM);
             const std::size_t got = co_await read_at_most(b, 100);
             CHECK(got == 8);
           });
}

TEST_CASE("fault_plan: shorten lets no transfer move more") {
  in_world(fault_plan().shorten(3), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    co_await a.write_all("12345678");
    CHECK(world.asked(operation::send) == 3);
    const std::size_t got = co_await read_at_most(b, 100);
    CHECK(got == 3);
  });
}

TEST_CASE("fault_plan: delay makes every operation complete that much later, cancelled ones included") {
  in_world(fault_plan().delay(5ms), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const time_point start = now();
    co_await a.write_all("x");
    CHECK(now() - start == 5ms);
    co_await read_at_most(b, 1);
    CHECK(now() - start == 10ms);
    const bool got_more = (co_await move_on_after(1ms, read_at_most(b, 1))).has_value();
    CHECK_FALSE(got_more);
    CHECK(now() - start == 16ms);
  });
}

TEST_CASE("fault_plan: reorder changes the order of completions, and loses none") {
  const auto order_with = [](std::uint64_t seed) {
    std::string order;
    in_world(fault_plan().reorder(seed), [&](simulation& world) -> task<> {
      std::vector<unique_fd> fds;
      for (int i = 0; i < 8; ++i) {
        fds.push_back(world.blank());
        world.script(operation::read, fds.back().get(), 1, 1ms);
      }
      co_await with_nursery([&](nursery& n) -> task<> {
        for (std::size_t i = 0; i < 8; ++i) {
          n.spawn(
              [&](std::size_t mine) -> task<> {
                std::byte buffer[1];
                co_await read_some(fds[mine].get(), buffer);
                order += static_cast<char>('0' + mine);
              },
              i);
        }
        co_return;
      });
    });
    return order;
  };
  CHECK(order_with(0) == "01234567");
  bool any_other = false;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    std::string order = order_with(seed);
    any_other = any_other || order != "01234567";
    CHECK(order == order_with(seed));
    std::sort(order.begin(), order.end());
    CHECK(order == "01234567");
  }
  CHECK(any_other);
}

TEST_CASE("fault_plan: interrupted operations are made again, and nobody notices") {
  for (const unsigned every : {2u, 3u, 5u}) {
    INFO("every " << every);
    in_world(fault_plan().interrupt(every), [&](simulation& world) -> task<> {
      auto [a, b] = world.connection();
      for (int i = 0; i < 10; ++i) co_await a.write_all("x");
      const std::size_t got = co_await read_at_most(b, 100);
      CHECK(got == 10);
      CHECK(world.asked(operation::send) > 10);
    });
  }
}
