// Tests of the seven rules of docs/cancellation.md, which quotes them.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <atomic>
#include <stop_token>
#include <thread>
#include <tuple>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("rule 1: a scope that was cancelled stays so, for every later await in it") {
  kit::in_every_order([](simulation&) -> task<> {
    int refused = 0;
    cancel_scope scope;
    const bool finished = co_await scope.run([&]() -> task<> {
      scope.cancel();
      for (int attempt = 0; attempt < 3; ++attempt) {
        try {
          co_await sleep_for(1ms);
        } catch (const cancelled&) {
          ++refused;  // for the sake of the example: leave it uncaught
        }
      }
    });
    CHECK(refused == 3);
    CHECK(finished);  // nothing was left to unwind the scope
  });
}

TEST_CASE("rule 1: a shield keeps a cancel request out until it ends") {
  kit::in_every_order([](simulation&) -> task<> {
    bool saved = false;
    const auto save = [&]() -> task<> {
      co_await sleep_for(1h);  // clean-up runs shielded
      saved = true;
    };
    const bool finished = co_await move_on_after(1ms, finally(sleep_forever(), save));
    CHECK(saved);
    CHECK(!finished);
  });
}

TEST_CASE("rule 2: what has happened is reported, and the cancel request waits for the next await") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [end, peer] = world.connection();
    world.script(operation::receive, end.fd(), 1, 5ms);  // a byte came, and the kernel says so in 5 ms
    std::array<std::byte, 8> buffer;
    const auto got = co_await move_on_after(2ms, end.read_some(buffer));
    CHECK(got == 1u);
  });
}

TEST_CASE("rule 2: a composite call says how far it came") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [end, peer] = world.connection(3);  // room for three bytes until the peer reads
    std::size_t sent = 0;
    const bool finished = co_await move_on_after(1ms, end.write_all("hello", sent));
    CHECK(!finished);
    CHECK(sent == 3);
  });
}

TEST_CASE("rule 3: a cancelled task stays suspended until the kernel lets go of its buffer") {
  kit::in_every_order(fault_plan().delay(3ms), [](simulation& world) -> task<> {
    auto [end, peer] = world.connection();
    std::array<std::byte, 8> buffer;
    const time_point start = world.clock().now();
    const auto got = co_await move_on_after(2ms, end.read_some(buffer));
    CHECK(!got);
    CHECK(world.clock().now() - start == 5ms);  // 2 ms until the request, 3 ms until the last completion
  });
}

TEST_CASE("rule 4: a started task unwinds, and one that has not started is dropped") {
  kit::in_every_order([](simulation&) -> task<> {
    bool late_one_ran = false;
    bool early_one_unwound = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        try {
          co_await sleep_forever();
        } catch (const cancelled&) {
          early_one_unwound = true;
          throw;
        }
      });
      co_await settle();
      n.cancel();
      n.spawn([&]() -> task<> {
        late_one_ran = true;
        co_return;
      });
    });
    CHECK(early_one_unwound);
    CHECK(!late_one_ran);
  });
}

TEST_CASE("rule 5: a time limit around a single operation needs no exception") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [end, peer] = world.connection();
    std::array<std::byte, 8> buffer;
    const auto nothing_yet = co_await move_on_after(1ms, end.read_some(buffer));
    CHECK(!nothing_yet);
    co_await peer.write_all("x");
    const auto one_byte = co_await move_on_after(1ms, end.read_some(buffer));
    CHECK(one_byte == 1u);
  });
}

TEST_CASE("rule 6: what nobody takes from a race is released") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    {
      const auto race = co_await when_any(listener.accept(), sleep_for(1h));
      CHECK(std::get<0>(race).has_value());
    }
    std::array<std::byte, 8> buffer;
    const std::size_t got = co_await client.read_some(buffer);
    CHECK(got == 0);  // the accepted end was closed with the result
  });
}

TEST_CASE("rule 6: a mutex that was handed to a task which is cancelled goes on to the next one") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    bool next_one_had_it = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      mutex::guard first = co_await m.lock();
      auto second = n.spawn([&]() -> task<> { const mutex::guard mine = co_await m.lock(); });
      co_await settle();
      n.spawn([&]() -> task<> {
        const mutex::guard mine = co_await m.lock();
        next_one_had_it = true;
      });
      co_await settle();
      first.unlock();
      second.cancel();
    });
    CHECK(next_one_had_it);
  });
}

TEST_CASE("rule 7: a function on a thread is waited for, and told if it listens") {
  std::atomic<bool> running = false;
  int answer = 0;
  run([&]() -> task<> {
    const auto work = [&](const std::stop_token& stop) {
      running = true;
      while (!stop.stop_requested()) std::this_thread::yield();
      return 42;
    };
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { answer = co_await offload(work); });
      while (!running) co_await yield_now();
      n.cancel();
    });
  });
  CHECK(answer == 42);  // it has a result, and done beats cancelled
}
