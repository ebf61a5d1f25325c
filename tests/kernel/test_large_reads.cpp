// Tests on the kernel: receive() of a stream that brings so much that it is read in large pieces.
#include "kernel.hpp"

#include "kit/bytes.hpp"

#include <algorithm>

#include <sys/socket.h>

using namespace kernel;
using kit::checked_bytes;
using kit::pattern;

namespace {

/// Submissions that so many small messages cost their receiver.
task<std::uint64_t> submissions_of(connection& ends, int messages) {
  const std::uint64_t before = this_scheduler().stats().sqes;
  for (int count = 0; count < messages; ++count) {
    put(ends.client, "small");
    const chunk received = co_await ends.server.receive();
    CHECK(received.text() == "small");
  }
  co_return this_scheduler().stats().sqes - before;
}

/// The most that a receive gave of so many bytes that were there already.
task<std::size_t> largest_of(connection& ends, std::size_t size) {
  std::size_t largest = 0;
  co_await with_nursery([&](nursery& n) -> task<> {
    const std::string all = pattern(size);
    n.spawn([&]() -> task<> { co_await ends.client.write_all(all); });
    checked_bytes received;
    while (received.count() < size) {
      const chunk some = co_await ends.server.receive();
      received.add(some);
      largest = std::max(largest, some.size());
    }
    CHECK(received.wrong() == 0);
  });
  co_return largest;
}

}  // namespace

TEST_CASE("receive: a stream moves to large reads when a lot comes, and back to one request for all small messages") {
  if (plain_path()) return kit::skip("the plain path reads everything alike");
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    for (int round = 0; round < 3; ++round) {
      INFO("round " << round);
      co_await submissions_of(ends, 20);
      const std::uint64_t small_ones = co_await submissions_of(ends, 100);
      CHECK(small_ones == 0);
      const std::size_t largest = co_await largest_of(ends, 4 << 20);
      CHECK(largest > 16 * 1024);
    }
  });
}

TEST_CASE("receive: large reads cost no submission each") {
  if (plain_path()) return kit::skip("the plain path asks each time");
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    co_await largest_of(ends, 4 << 20);
    const std::string piece = pattern(20'000);
    const std::uint64_t before = this_scheduler().stats().sqes;
    for (int round = 0; round < 100; ++round) {
      put(ends.client, piece);
      std::string got;
      while (got.size() < piece.size()) {
        const chunk received = co_await ends.server.receive();
        got += received.text();
      }
      CHECK(got == piece);
    }
    CHECK(this_scheduler().stats().sqes - before <= 10);
  });
}

TEST_CASE("receive: who does not read is not told of each arrival") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    co_await largest_of(ends, 4 << 20);
    const std::uint64_t before = this_scheduler().stats().cqes;
    for (int count = 0; count < 50; ++count) {
      put(ends.client, "unread");
      co_await sleep_for(100us);
    }
    CHECK(this_scheduler().stats().cqes - before < 10);
    std::size_t got = 0;
    while (got < 50 * std::string_view("unread").size()) {
      const chunk received = co_await ends.server.receive();
      got += received.size();
    }
  });
}

TEST_CASE("receive: a large read that ends before an urgent byte is followed by what comes after it") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    for (int round = 0; round < 50; ++round) {
      co_await largest_of(ends, 1 << 20);
      std::string got;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          while (got.size() < 12) {
            const chunk received = co_await ends.server.receive();
            got += received.text();
          }
        });
        if (round % 2 == 0) co_await sleep_for(100us);
        put(ends.client, "before");
        REQUIRE(::send(ends.client.fd(), "!", 1, MSG_OOB) == 1);
        put(ends.client, "behind");
      });
      CHECK(got == "beforebehind");
    }
  });
}

TEST_CASE("receive: a large read that ends before the end of the stream is followed by that") {
  for (int round = 0; round < 50; ++round) {
    in_time([round]() -> task<> {
      connection ends = co_await connect_pair();
      co_await largest_of(ends, 1 << 20);
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          const chunk last = co_await ends.server.receive();
          CHECK(last.text() == "last");
          const chunk end = co_await ends.server.receive();
          CHECK(end.empty());
        });
        if (round % 2 == 0) co_await sleep_for(100us);
        put(ends.client, "last");
        co_await ends.client.shutdown_send();
      });
    });
  }
}
