// Tests of stream.hpp: every byte comes once and in order, however the transfers are cut, delayed, interrupted or
// ended.
#include "kit/bytes.hpp"
#include "kit/errors.hpp"
#include "kit/random.hpp"

#include <ringlet/ringlet.hpp>

#include <cerrno>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;
using kit::expect_error;
using kit::pattern;

namespace {

std::span<std::byte> into(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}

/// Everything up to the end, by reads of at most `at_a_time` bytes.
task<std::string> read_to_end(socket_stream& from, std::size_t at_a_time) {
  std::string all;
  std::string buffer(at_a_time, ' ');
  for (;;) {
    const std::size_t got = co_await from.read_some(into(buffer));
    if (got == 0) co_return all;
    all.append(buffer, 0, got);
  }
}

/// body: (simulation&, tcp_stream& here, tcp_stream& there) -> task<>.
template <class Body>
void with_connection(fault_plan faults, Body body, std::size_t capacity = 64 * 1024) {
  kit::in_every_order(std::move(faults), [&](simulation& world) -> task<> {
    auto [here, there] = world.connection(capacity);
    co_await body(world, here, there);
  });
}

template <class Body>
void with_connection(Body body) {
  with_connection(fault_plan(), std::move(body));
}

}  // namespace

TEST_CASE("stream: what one end writes the other reads, byte for byte, then the end, despite faults") {
  for (const std::size_t size : {0u, 1u, 63u, 64u, 65u, 1000u}) {
    kit::despite_faults([&](simulation& world) -> task<> {
      auto [here, there] = world.connection(64);
      const std::string sent = pattern(size);
      std::string got;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          co_await here.write_all(sent);
          co_await here.shutdown_send();
        });
        got = co_await read_to_end(there, 7);
      });
      CHECK(got == sent);
    });
  }
}

TEST_CASE("stream: both directions at once do not disturb each other, despite faults") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection(16);
    const std::string question = pattern(300), answer(250, 'A');
    std::string asked, answered;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto send = [](tcp_stream* to, const std::string* what) -> task<> {
        co_await to->write_all(*what);
        co_await to->shutdown_send();
      };
      n.spawn(send, borrowed(&here), borrowed(&question));
      n.spawn(send, borrowed(&there), borrowed(&answer));
      n.spawn([&]() -> task<> { asked = co_await read_to_end(there, 100); });
      n.spawn([&]() -> task<> { answered = co_await read_to_end(here, 1); });
      co_return;
    });
    CHECK(asked == question);
    CHECK(answered == answer);
  });
}

TEST_CASE("stream: read_exactly fills what it was given, in as many reads as it takes, despite faults") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection(8);
    const std::string sent = pattern(100);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await here.write_all(sent); });
      std::string first(33, ' '), second(67, ' ');
      std::size_t got = 99;
      co_await there.read_exactly(into(first), got);
      CHECK(got == 33);
      co_await there.read_exactly(into(second));
      CHECK(first + second == sent);
    });
  });
}

TEST_CASE("stream: read_exactly at the end says how far it came, despite faults") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection();
    co_await here.write_all("abc");
    co_await here.shutdown_send();
    std::string buffer(10, ' ');
    std::size_t got = 99;
    std::string what;
    try {
      co_await there.read_exactly(into(buffer), got);
    } catch (const end_of_stream& e) {
      what = e.what();
    }
    CHECK(got == 3);
    CHECK(buffer.substr(0, 3) == "abc");
    CHECK(what == "the stream ended after 3 of 10 bytes");
    got = 99;
    try {
      co_await there.read_exactly(into(buffer), got);
    } catch (const end_of_stream& e) {
      what = e.what();
    }
    CHECK(got == 0);
    CHECK(what == "the stream ended after 0 of 10 bytes");
  });
}

TEST_CASE("stream: reading and writing nothing takes no operation, and is no end") {
  with_connection([](simulation& world, tcp_stream& here, tcp_stream& there) -> task<> {
    const unsigned before = world.asked(operation::send) + world.asked(operation::receive);
    const std::size_t written = co_await here.write_some({});
    const std::size_t read = co_await there.read_some({});
    co_await here.write_all("");
    co_await there.read_exactly({});
    CHECK(written == 0);
    CHECK(read == 0);
    CHECK(world.asked(operation::send) + world.asked(operation::receive) == before);
    co_await here.write_all("x");
    std::string buffer(5, ' ');
    const std::size_t got = co_await there.read_some(into(buffer));
    CHECK(got == 1);
  });
}

TEST_CASE("stream: a write waits for room, and goes on when the peer reads") {
  with_connection(
      fault_plan(),
      [](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
        co_await with_nursery([&](nursery& n) -> task<> {
          bool written = false;
          n.spawn([&]() -> task<> {
            co_await here.write_all(pattern(25));
            written = true;
          });
          co_await settle();
          std::string buffer(10, ' ');
          for (int reads = 0; reads < 2; ++reads) {
            CHECK_FALSE(written);
            co_await there.read_exactly(into(buffer));
            co_await settle();
          }
          CHECK(written);
        });
      },
      10);
}

TEST_CASE("stream: an error of the system is thrown as what it is, and the next operation starts anew") {
  for (const int error : {EIO, ENOBUFS, ENOMEM, ETIMEDOUT, EHOSTUNREACH}) {
    with_connection(fault_plan().fail(operation::receive, 1, error).fail(operation::send, 2, error),
                    [&](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
                      co_await here.write_all("ab");
                      std::string buffer(2, ' ');
                      co_await expect_error(error, [&]() -> task<> { co_await there.read_some(into(buffer)); });
                      co_await expect_error(error, [&]() -> task<> { co_await here.write_all("cd"); });
                      co_await there.read_exactly(into(buffer));
                      CHECK(buffer == "ab");
                      co_await here.write_all("ef");
                      co_await there.read_exactly(into(buffer));
                      CHECK(buffer == "ef");
                    });
  }
}

TEST_CASE("stream: an error in the middle of write_all and read_exactly says how much was done") {
  with_connection(fault_plan().shorten(4).fail(operation::send, 3, EIO),
                  [](simulation&, tcp_stream& here, tcp_stream&) -> task<> {
                    std::size_t sent = 99;
                    co_await expect_error(EIO, [&]() -> task<> { co_await here.write_all(pattern(20), sent); });
                    CHECK(sent == 8);
                  });
  with_connection(fault_plan().shorten(4).fail(operation::receive, 4, ECONNRESET),
                  [](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
                    co_await here.write_all(pattern(20));
                    std::string buffer(20, ' ');
                    std::size_t got = 99;
                    const auto read = [&]() -> task<> { co_await there.read_exactly(into(buffer), got); };
                    co_await expect_error(ECONNRESET, read);
                    CHECK(got == 12);
                    CHECK(buffer.substr(0, 12) == pattern(12));
                  });
}

TEST_CASE("stream: an operation that the kernel says was cancelled, and nobody cancelled, is an error") {
  with_connection(fault_plan().fail(operation::receive, 1, ECANCELED),
                  [](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
                    co_await here.write_all("a");
                    std::string buffer(1, ' ');
                    co_await expect_error(ECANCELED, [&]() -> task<> { co_await there.read_some(into(buffer)); });
                    co_await there.read_exactly(into(buffer));
                    CHECK(buffer == "a");
                  });
}

TEST_CASE("stream: write_all and read_exactly that are cancelled say exactly what was done, whenever that is") {
  for (int after = 0; after < 12; ++after) {
    kit::in_every_order(fault_plan().shorten(3).delay(1ms), [&](simulation& world) -> task<> {
      auto [here, there] = world.connection(64);
      const std::string sent_text = pattern(30);
      std::size_t sent = 99;
      const bool finished =
          co_await move_on_after(std::chrono::microseconds(after * 1000 + 500), here.write_all(sent_text, sent));
      CHECK(finished == (sent == 30));
      co_await here.shutdown_send();

      std::string buffer(30, ' ');
      std::size_t got = 99;
      bool ended = false;
      try {
        co_await move_on_after(std::chrono::microseconds(after * 700 + 500), there.read_exactly(into(buffer), got));
      } catch (const end_of_stream&) {
        ended = true;
      }
      CHECK((!ended || got == sent));
      const std::string rest = co_await read_to_end(there, 5);
      CHECK(buffer.substr(0, got) + rest == sent_text.substr(0, sent));
    });
  }
}

TEST_CASE("stream: in a cancelled scope nothing is sent or taken, and the counts are zero") {
  with_connection([](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
    co_await here.write_all("kept");
    std::string buffer(4, ' ');
    std::size_t sent = 99, got = 99;
    cancel_scope scope;
    scope.cancel();
    const auto use = [&]() -> task<> {
      bool write_ended = false;
      try {
        co_await here.write_all("never", sent);
      } catch (const cancelled&) {
        write_ended = true;
      }
      CHECK(write_ended);
      co_await there.read_exactly(into(buffer), got);
    };
    const bool finished = co_await scope.run(use);
    CHECK_FALSE(finished);
    CHECK(sent == 0);
    CHECK(got == 0);
    co_await here.shutdown_send();
    const std::string all = co_await read_to_end(there, 10);
    CHECK(all == "kept");
  });
}

TEST_CASE("stream: shutdown_send ends what the peer reads, and reading goes on, despite faults") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection();
    co_await here.write_all("last words");
    co_await here.shutdown_send();
    co_await here.shutdown_send();
    const std::string heard = co_await read_to_end(there, 4);
    CHECK(heard == "last words");
    co_await there.write_all("an answer");
    co_await there.shutdown_send();
    const std::string answer = co_await read_to_end(here, 4);
    CHECK(answer == "an answer");
  });
}

TEST_CASE("stream: a write after shutdown_send, or to a peer that has closed, is an error") {
  with_connection([](simulation&, tcp_stream& here, tcp_stream&) -> task<> {
    co_await here.shutdown_send();
    co_await expect_error(EPIPE, [&]() -> task<> { co_await here.write_all("x"); });
  });
  with_connection([](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
    co_await there.close();
    co_await expect_error(EPIPE, [&]() -> task<> { co_await here.write_all("x"); });
    co_await here.shutdown_send();  // the peer has gone: no error
  });
}

TEST_CASE("stream: a reset by the peer ends what waits and what comes") {
  with_connection([](simulation& world, tcp_stream& here, tcp_stream&) -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      std::string buffer(1, ' ');
      n.spawn([&]() -> task<> {
        co_await expect_error(ECONNRESET, [&]() -> task<> { co_await here.read_some(into(buffer)); });
      });
      co_await settle();
      world.reset(here);
    });
    co_await expect_error(ECONNRESET, [&]() -> task<> { co_await here.write_all("x"); });
  });
}

TEST_CASE("stream: close() ends a read and a write in flight with EBADF, and awaits them, despite faults") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection(4);
    int ended = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        std::string buffer(1, ' ');
        co_await expect_error(EBADF, [&]() -> task<> { co_await here.read_some(into(buffer)); });
        ++ended;
      });
      n.spawn([&]() -> task<> {
        std::size_t sent = 99;
        const std::string text = pattern(10);
        co_await expect_error(EBADF, [&]() -> task<> { co_await here.write_all(text, sent); });
        CHECK(sent == 4);
        ++ended;
      });
      co_await sleep_for(100ms);
      co_await here.close();
      CHECK(here.fd() == -1);
      co_await here.close();
      std::string buffer(1, ' ');
      co_await expect_error(EBADF, [&]() -> task<> { co_await here.read_some(into(buffer)); });
      co_await expect_error(EBADF, [&]() -> task<> { co_await here.write_some({}); });
      co_await expect_error(EBADF, [&]() -> task<> { co_await here.shutdown_send(); });
    });
    CHECK(ended == 2);
    const std::string heard = co_await read_to_end(there, 10);
    CHECK(heard == pattern(4));
  });
}

TEST_CASE("stream: a second reader or writer is refused with EBUSY, and the first one goes on, despite faults") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection(4);
    co_await with_nursery([&](nursery& n) -> task<> {
      std::string first(3, ' '), second(3, ' ');
      n.spawn([&]() -> task<> {
        co_await there.read_exactly(into(first));
        CHECK(first == "abc");
      });
      co_await sleep_for(50ms);
      co_await expect_error(EBUSY, [&]() -> task<> { co_await there.read_some(into(second)); });
      co_await here.write_all("abc");
      co_await sleep_for(100ms);

      n.spawn([&]() -> task<> { co_await here.write_all("0123456789"); });
      co_await sleep_for(50ms);
      co_await expect_error(EBUSY, [&]() -> task<> { co_await here.write_all("interleaved"); });
      co_await expect_error(EBUSY, [&]() -> task<> { co_await here.shutdown_send(); });
      std::string whole(10, ' ');
      co_await there.read_exactly(into(whole));
      CHECK(whole == "0123456789");
    });
  });
}

TEST_CASE("stream: two writers that take turns by a mutex never mix their bytes, and fail together") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [here, there] = world.connection(8);
    mutex turn;
    int failed = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (const char letter : {'a', 'b', 'c'}) {
        n.spawn(
            [&](char mine) -> task<> {
              try {
                for (int i = 0; i < 100; ++i) {
                  const auto guard = co_await turn.lock();
                  co_await here.write_all(std::string(10, mine));
                }
              } catch (const os_error& e) {
                CHECK(e.code().value() == EPIPE);
                ++failed;
              }
            },
            letter);
      }
      std::string block(10, ' ');
      for (int i = 0; i < 30; ++i) {
        co_await there.read_exactly(into(block));
        REQUIRE(block == std::string(10, block[0]));
      }
      co_await there.close();
    });
    CHECK(failed == 3);
  });
}

TEST_CASE("stream: as_result gives counts and errors without throwing") {
  with_connection(fault_plan().fail(operation::receive, 2, EIO),
                  [](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
                    co_await here.write_all("abc");
                    std::string buffer(8, ' ');
                    const result<std::size_t> read = co_await as_result(there.read_some(into(buffer)));
                    REQUIRE(read.has_value());
                    CHECK(*read == 3);
                    const result<std::size_t> failed = co_await as_result(there.read_some(into(buffer)));
                    REQUIRE_FALSE(failed.has_value());
                    CHECK(failed.error().value() == EIO);
                  });
}

TEST_CASE("stream: it may be moved while another task uses it") {
  with_connection([](simulation&, tcp_stream& here, tcp_stream& there) -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      std::string buffer(2, ' ');
      n.spawn([&]() -> task<> {
        co_await there.read_exactly(into(buffer));
        CHECK(buffer == "ab");
      });
      co_await settle();
      tcp_stream moved = std::move(there);
      co_await here.write_all("ab");
      co_await settle();
      co_await moved.write_all("back");
      std::string back(4, ' ');
      co_await here.read_exactly(into(back));
      CHECK(back == "back");
    });
  });
}

TEST_CASE("stream: writes, reads, cancellations and faults at random lose, double and reorder no byte") {
  kit::for_each_seed(200, [](std::uint64_t seed) {
    kit::random draw(seed);
    fault_plan faults;
    if (draw.one_in(2)) faults.shorten(1 + draw.below(20));
    if (draw.one_in(2)) faults.delay(std::chrono::microseconds(draw.below(900)));
    if (draw.one_in(2)) faults.reorder(seed);
    if (draw.one_in(2)) faults.interrupt(static_cast<unsigned>(2 + draw.below(5)));
    simulation world(faults);
    run(world.how().seed(seed), [&]() -> task<> {
      auto [here, there] = world.connection(1 + draw.below(100));
      std::string sent, got;
      const std::string source = pattern(100);
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          for (int i = 0; i < 100; ++i) {
            const std::string_view chunk = std::string_view(source).substr(draw.below(50), draw.below(50));
            std::size_t count = 0;
            co_await move_on_after(std::chrono::microseconds(1 + draw.below(3000)), here.write_all(chunk, count));
            sent += chunk.substr(0, count);
          }
          co_await here.shutdown_send();
        });
        std::string buffer(40, ' ');
        int reads = 0;
        for (bool ended = false; !ended; ++reads) {
          REQUIRE(reads < 100'000);
          const std::span<std::byte> where = into(buffer).first(1 + draw.below(40));
          const auto read =
              co_await move_on_after(std::chrono::microseconds(1 + draw.below(3000)), there.read_some(where));
          if (read) got.append(buffer, 0, *read);
          ended = read && *read == 0;
        }
      });
      REQUIRE(got == sent);
    });
  });
}
