// Tests of memory_stream.hpp: what is its own; what all streams have in common is in process/test_conformance.cpp.
#include "kit/bytes.hpp"
#include "kit/errors.hpp"
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <cerrno>
#include <string>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

task<> write_and_end(memory_stream& to, std::string_view text) {
  co_await to.write_all(text);
  co_await to.shutdown_send();
}

/// What comes until the end, in pieces of 1 byte, 2 bytes and so on, every third as a chunk.
task<std::string> read_to_end(memory_stream& from) {
  std::string got;
  for (std::size_t turn = 1;; ++turn) {
    std::string piece(turn, '\0');
    if (turn % 3 == 0) {
      const chunk received = co_await from.receive();
      piece = received.text();
    } else {
      const std::size_t count = co_await from.read_some(std::as_writable_bytes(std::span(piece)));
      piece.resize(count);
    }
    if (piece.empty()) co_return got;
    got += piece;
  }
}

}  // namespace

TEST_CASE("memory stream: whatever its capacity, bytes go both ways at once, in order and complete") {
  const std::string there = kit::pattern(1000), back = kit::pattern(700, 1000);
  for (const std::size_t capacity : {1u, 2u, 7u, 699u, 700u, 100'000u}) {
    INFO("capacity " << capacity);
    kit::in_every_order([&](simulation&) -> task<> {
      auto [one, other] = memory_stream_pair(capacity);
      std::string got_there, got_back;
      co_await with_nursery([&, &a = one, &b = other](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { co_await write_and_end(a, there); });
        n.spawn([&]() -> task<> { co_await write_and_end(b, back); });
        n.spawn([&]() -> task<> { got_there = co_await read_to_end(b); });
        n.spawn([&]() -> task<> { got_back = co_await read_to_end(a); });
        co_return;
      });
      CHECK((got_there == there));
      CHECK((got_back == back));
    });
  }
}

TEST_CASE("memory stream: one end may be as far ahead of the other as the capacity says, and no further") {
  kit::in_every_order([](simulation&) -> task<> {
    for (const std::size_t capacity : {1u, 10u, 1000u}) {
      auto [one, other] = memory_stream_pair(capacity);
      const std::string text(2 * capacity, 'x');
      std::size_t sent = 0;
      const bool finished = co_await move_on_after(1s, one.write_all(text, sent));
      CHECK_FALSE(finished);
      CHECK(sent == capacity);
    }
  });
}

TEST_CASE("memory stream: without any room there is none") {
  CHECK_THROWS_AS(memory_stream_pair(0), std::invalid_argument);
}

TEST_CASE("memory stream: a write that has no room ends with EPIPE and its exact count when the peer closes") {
  kit::in_every_order([](simulation&) -> task<> {
    auto [one, other] = memory_stream_pair(10);
    std::size_t sent = 0;
    int error = 0;
    co_await with_nursery([&, &a = one, &b = other](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        error = co_await kit::error_of([&]() -> task<> { co_await a.write_all(std::string(30, 'x'), sent); });
      });
      std::array<std::byte, 5> to;
      co_await b.read_exactly(to);
      co_await settle();
      co_await b.close();
    });
    CHECK(error == EPIPE);
    CHECK(sent == 15);
  });
}

TEST_CASE("memory stream: what was sent before the close can still be read, and then there is the end") {
  kit::in_every_order([](simulation&) -> task<> {
    auto [one, other] = memory_stream_pair();
    co_await one.write_all("last words");
    co_await one.close();
    CHECK(one.closed());
    CHECK_FALSE(other.closed());
    const std::string got = co_await read_to_end(other);
    CHECK(got == "last words");
    co_await other.shutdown_send();
  });
}

TEST_CASE("memory stream: an end that goes closes, and may move while a task waits at it") {
  kit::in_every_order([](simulation&) -> task<> {
    auto [one, other] = memory_stream_pair();
    std::optional<memory_stream> gone(std::move(one));
    std::string got;
    co_await with_nursery([&, &b = other](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const chunk received = co_await b.receive();
        got = received.text();
      });
      co_await settle();
      memory_stream moved(std::move(b));
      co_await gone->write_all("bye");
      gone.reset();
      co_await settle();
      b = std::move(moved);
    });
    CHECK(got == "bye");
  });
}

TEST_CASE("memory stream: nothing is begun in a cancelled scope, and only closing closes all the same") {
  kit::in_every_order([](simulation&) -> task<> {
    auto [one, other] = memory_stream_pair();
    co_await one.write_all("x");
    cancel_scope scope;
    scope.cancel();
    std::array<std::byte, 8> to;
    const bool read = (co_await scope.run(one.read_some(to))).has_value();
    const bool written = co_await scope.run(one.write_all("y"));
    const bool ended = co_await scope.run(one.shutdown_send());
    CHECK_FALSE((read || written || ended));
    co_await one.write_all("z");
    co_await scope.run(one.close());
    CHECK(one.closed());
    const std::string got = co_await read_to_end(other);
    CHECK(got == "xz");
  });
}

TEST_CASE("memory stream: a task that always finds something lets the others run") {
  kit::in_every_order([](simulation&) -> task<> {
    auto [one, other] = memory_stream_pair();
    bool others_ran = false;
    co_await with_nursery([&, &a = one, &b = other](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        others_ran = true;
        co_return;
      });
      std::array<std::byte, 1> to;
      for (int turn = 0; turn < 1000; ++turn) {
        co_await a.write_all("x");
        co_await b.read_exactly(to);
      }
      CHECK(others_ran);
    });
  });
}

TEST_CASE("memory stream: line_reader and copy take it for what every stream is") {
  kit::in_every_order([](simulation&) -> task<> {
    auto [client, front] = memory_stream_pair(3);
    auto [back, server] = memory_stream_pair(5);
    std::vector<std::string> lines;
    co_await with_nursery([&, &a = client, &b = front, &c = back, &d = server](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await write_and_end(a, "one\ntwo\nand three"); });
      n.spawn([&]() -> task<> {
        const std::uint64_t moved = co_await copy(b, c);
        CHECK(moved == 17);
        co_await c.close();
      });
      line_reader reader(d);
      while (const auto line = co_await reader.next()) lines.emplace_back(*line);
    });
    CHECK(lines == std::vector<std::string>{"one", "two", "and three"});
  });
}

TEST_CASE("memory stream: errors come as values, too, and name the stream") {
  kit::in_every_order([](simulation&) -> task<> {
    auto [one, other] = memory_stream_pair();
    co_await other.close();
    const result<void> written = co_await as_result(one.write_all("x"));
    CHECK(written.error().value() == EPIPE);
    co_await one.close();
    const result<chunk> received = co_await as_result(one.receive());
    CHECK(received.error().value() == EBADF);
    const auto error = co_await kit::thrown_by<os_error>([&]() -> task<> { co_await one.shutdown_send(); });
    CHECK_THAT(std::string(error.value().what()), kit::contains("shutdown memory stream: "));
  });
}
