// Tests on the kernel: rings that are far too small, and how often the kernel is entered.
#include "kernel.hpp"

#include <algorithm>
#include <array>

#include <sys/eventfd.h>
#include <unistd.h>

using namespace kernel;

namespace {

/// How many tasks ended in each way.
struct tally {
  int done = 0;
  int cancelled = 0;
  int failed = 0;
};

task<> count_poll(int fd, tally* ends) {
  try {
    co_await readable(fd);
    ++ends->done;
  } catch (const std::exception&) {
    ++ends->failed;
    throw;
  } catch (...) {
    ++ends->cancelled;
    throw;
  }
}

void raise(const unique_fd& counter) {
  const std::uint64_t one = 1;
  REQUIRE(::write(counter.get(), &one, sizeof one) == sizeof one);
}

/// body: (unsigned entries) -> task<>
template <class Body>
void on_small_rings(Body body) {
  for (const unsigned entries : {1u, 2u, 4u, 8u}) {
    INFO(entries << " entries");
    in_time(options().entries(entries), body);
  }
}

}  // namespace

TEST_CASE("ring: thousands of operations complete through a queue of few entries") {
  on_small_rings([]() -> task<> {
    const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
    tally ends;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 5000; ++i) n.spawn(count_poll, counter.get(), borrowed(&ends));
      co_await sleep_for(1ms);
      raise(counter);
    });
    CHECK(ends.done == 5000);
    CHECK(this_scheduler().stats().in_flight == 0);
  });
}

TEST_CASE("ring: more completions at once than the completion queue holds are all delivered") {
  std::uint64_t overflows = 0;
  on_small_rings([&]() -> task<> {
    const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
    tally ends;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 3000; ++i) n.spawn(count_poll, counter.get(), borrowed(&ends));
      co_await sleep_for(5ms);
      raise(counter);
      co_await sleep_for(5ms);
    });
    CHECK(ends.done == 3000);
    overflows += this_scheduler().stats().cq_overflows;
  });
  CHECK(overflows > 0);
}

TEST_CASE("ring: thousands of cancel requests each end their own operation and no other") {
  on_small_rings([]() -> task<> {
    const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
    tally kept, dropped;
    co_await with_nursery([&](nursery& n) -> task<> {
      std::vector<job<void>> to_cancel;
      for (int i = 0; i < 2000; ++i) {
        n.spawn(count_poll, counter.get(), borrowed(&kept));
        to_cancel.push_back(n.spawn(count_poll, counter.get(), borrowed(&dropped)));
      }
      co_await sleep_for(1ms);
      for (job<void>& j : to_cancel) j.cancel();
      co_await sleep_for(1ms);
      CHECK(kept.done + kept.cancelled + kept.failed == 0);
      raise(counter);
    });
    CHECK(dropped.cancelled == 2000);
    CHECK(dropped.done + dropped.failed == 0);
    CHECK(kept.done == 2000);
    CHECK(kept.cancelled + kept.failed == 0);
  });
}

TEST_CASE("ring: an operation that is cancelled in the turn in which it began is cancelled") {
  on_small_rings([]() -> task<> {
    const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
    tally ends;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 500; ++i) {
        auto polling = n.spawn(count_poll, counter.get(), borrowed(&ends));
        n.spawn(
            [](job<void> j) -> task<> {
              j.cancel();
              co_return;
            },
            polling);
      }
      co_return;
    });
    CHECK(ends.cancelled == 500);
    CHECK(ends.done + ends.failed == 0);
  });
}

TEST_CASE("ring: cancelling the scope of thousands of operations ends them all") {
  on_small_rings([]() -> task<> {
    const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
    tally ends;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 5000; ++i) n.spawn(count_poll, counter.get(), borrowed(&ends));
      co_await sleep_for(1ms);
      n.cancel();
    });
    CHECK(ends.cancelled == 5000);
    CHECK(this_scheduler().stats().in_flight == 0);
  });
}

TEST_CASE("ring: operations start in the order in which they were asked for, whatever the queue's size") {
  on_small_rings([]() -> task<> {
    const pipe_ends p = plain_pipe();
    constexpr std::uint16_t count = 3000;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (std::uint16_t i = 0; i < count; ++i) {
        n.spawn([](int fd,
                   std::uint16_t number) -> task<> { co_await write_some(fd, std::as_bytes(std::span(&number, 1))); },
                p.write.get(), i);
      }
      co_return;
    });
    std::vector<std::uint16_t> seen(count);
    const std::size_t got = co_await read_some(p.read.get(), std::as_writable_bytes(std::span(seen)));
    CHECK(got == count * sizeof(std::uint16_t));
    CHECK(std::is_sorted(seen.begin(), seen.end()));
  });
}

TEST_CASE("ring: nobody is told that it was cancelled who was not") {
  on_small_rings([]() -> task<> {
    connection ends = co_await connect_pair();
    int wrong = 0;
    std::size_t received = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (int round = 0; round < 300; ++round) {
          // The time-outs of others come and go while this connection is in use.
          const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
          co_await move_on_after(std::chrono::microseconds(round), readable(counter.get()));
        }
        co_await ends.client.shutdown_send();
      });
      n.spawn([&]() -> task<> {
        try {
          std::array<std::byte, 64> to;
          while (const std::size_t got = co_await ends.server.read_some(to)) received += got;
        } catch (...) {
          ++wrong;
        }
      });
      co_return;
    });
    CHECK(wrong == 0);
    CHECK(received == 0);
  });
}

TEST_CASE("ring: more wake-ups than the completion queue holds do not stop the wake-ups") {
  on_small_rings([]() -> task<> {
    const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
    tally ends;
    for (int round = 0; round < 50; ++round) {
      const post_handle loop = this_scheduler().handle();
      event told;
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 50; ++i) n.spawn(count_poll, counter.get(), borrowed(&ends));
        co_await sleep_for(100us);
        raise(counter);
        co_await offload([&] { loop.post([&] { told.set(); }); });
        co_await told.wait();
      });
      std::uint64_t count = 0;
      co_await read_some(counter.get(), std::as_writable_bytes(std::span(&count, 1)));
    }
    CHECK(ends.done == 50 * 50);
  });
}

TEST_CASE("ring: the kernel is not entered while only ready tasks run") {
  in_time([]() -> task<> {
    const statistics before = this_scheduler().stats();
    co_await with_nursery([](nursery& n) -> task<> {
      for (int i = 0; i < 3; ++i) {
        n.spawn([]() -> task<> {
          for (int round = 0; round < 1000; ++round) co_await yield_now();
        });
      }
      co_return;
    });
    const statistics after = this_scheduler().stats();
    CHECK(after.turns - before.turns >= 1000);
    CHECK(after.enters - before.enters <= 2);
  });
}

TEST_CASE("ring: the kernel is entered at most once a turn under load") {
  const options roomy = options().entries(256);
  in_time(roomy, []() -> task<> {
    std::vector<connection> all;
    for (int i = 0; i < 50; ++i) all.push_back(co_await connect_pair());
    const statistics before = this_scheduler().stats();
    co_await with_nursery([&](nursery& n) -> task<> {
      for (connection& ends : all) {
        n.spawn(
            [](connection* c) -> task<> {
              for (int round = 0; round < 100; ++round) co_await c->client.write_all("ping");
              co_await c->client.close();
            },
            borrowed(&ends));
        n.spawn(
            [](connection* c) -> task<> {
              std::array<std::byte, 64> to;
              while (co_await c->server.read_some(to) > 0) {
              }
            },
            borrowed(&ends));
      }
      co_return;
    });
    const statistics after = this_scheduler().stats();
    CHECK(after.enters - before.enters <= after.turns - before.turns + 2);
    CHECK(after.sqes - before.sqes >= 50 * 100);
  });
}

TEST_CASE("ring: waiting for nothing but time takes one turn for each time") {
  in_time([]() -> task<> {
    const statistics before = this_scheduler().stats();
    for (int i = 0; i < 10; ++i) co_await sleep_for(5ms);
    const statistics after = this_scheduler().stats();
    CHECK(after.turns - before.turns <= 12);
    CHECK(after.enters - before.enters <= 12);
  });
}

TEST_CASE("ring: sizes that make no sense are brought into range") {
  for (const unsigned entries : {0u, 3u, 100'000u, 4'000'000'000u}) {
    INFO(entries << " entries");
    in_time(options().entries(entries), []() -> task<> { co_await connect_pair(); });
  }
}

TEST_CASE("ring: virtual time does not overtake operations that are about to complete") {
  virtual_clock clock;
  int in_time_count = 0;
  run(options().clock(clock), [&]() -> task<> {
    connection ends = co_await connect_pair();
    for (int i = 0; i < 20; ++i) {
      co_await ends.client.write_all("x");
      std::array<std::byte, 1> to;
      const auto got = co_await move_on_after(1h, ends.server.read_some(to));
      in_time_count += got.has_value() ? 1 : 0;
    }
    const time_point before = clock.now();
    co_await sleep_for(1h);
    CHECK(clock.now() - before >= 1h);
  });
  CHECK(in_time_count == 20);
}
