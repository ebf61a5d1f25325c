// Tests on the kernel: receive(), with every size and pace, under cancellation, resets and closing, and by many at
// once.
#include "kernel.hpp"

#include "kit/bytes.hpp"
#include "kit/random.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kernel;
using kit::checked_bytes;
using kit::pattern;

namespace {

constexpr std::uint64_t piece_size = 256 * 1024;

task<> send_pattern(socket_stream& to, std::uint64_t size) {
  for (std::uint64_t sent = 0; sent < size; sent += piece_size) {
    const std::string piece = pattern(std::min(piece_size, size - sent), sent);
    co_await to.write_all(piece);
  }
  co_await to.shutdown_send();
}

task<> receive_to_end(socket_stream& from, checked_bytes& into) {
  for (;;) {
    const chunk received = co_await from.receive();
    if (received.empty()) break;
    into.add(received);
  }
}

task<> echo(socket_stream& s) {
  for (;;) {
    const chunk received = co_await s.receive();
    if (received.empty()) break;
    co_await s.write_all(received);
  }
  co_await s.shutdown_send();
}

/// A message there and back, so many times.
task<> ping(socket_stream& client, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const std::string message = "ping " + std::to_string(round);
    co_await client.write_all(message);
    std::string answer;
    while (answer.size() < message.size()) {
      const chunk received = co_await client.receive();
      if (received.empty()) break;
      answer += received.text();
    }
    CHECK(answer == message);
  }
}

void put(const tcp_stream& into, std::string_view text) {
  REQUIRE(::send(into.fd(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

/// More open descriptors for the length of a test; false when that is not allowed.
class descriptor_limit {
 public:
  explicit descriptor_limit(rlim_t wanted) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit more{std::max(wanted, before_.rlim_cur), before_.rlim_max};
    enough_ = ::setrlimit(RLIMIT_NOFILE, &more) == 0;
  }
  ~descriptor_limit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  explicit operator bool() const noexcept { return enough_; }

 private:
  rlimit before_{};
  bool enough_ = false;
};

}  // namespace

// --- What comes in

TEST_CASE("receive: an echo of any size is complete and in order") {
  const std::uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 65'535, 1 << 20, 64 << 20};
  for (const std::uint64_t size : sizes) {
    INFO(size << " bytes");
    in_time([size]() -> task<> {
      connection ends = co_await connect_pair();
      checked_bytes back;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { co_await echo(ends.server); });
        n.spawn([&]() -> task<> { co_await send_pattern(ends.client, size); });
        co_await receive_to_end(ends.client, back);
      });
      CHECK(back.count() == size);
      CHECK(back.wrong() == 0);
    });
  }
}

TEST_CASE("receive: one connection that never pauses does not keep fifty others waiting") {
  in_time([]() -> task<> {
    connection firehose = co_await connect_pair();
    std::vector<connection> others;
    for (int i = 0; i < 50; ++i) others.push_back(co_await connect_pair());
    checked_bytes poured;
    std::uint64_t turns = 0;
    co_await with_nursery([&](nursery& all) -> task<> {
      all.spawn([&]() -> task<> { co_await send_pattern(firehose.client, std::uint64_t{1} << 40); });
      all.spawn([&]() -> task<> { co_await receive_to_end(firehose.server, poured); });
      for (connection& c : others) all.spawn([](connection* of) -> task<> { co_await echo(of->server); }, borrowed(&c));
      const std::uint64_t before = this_scheduler().stats().turns;
      co_await with_nursery([&](nursery& pings) -> task<> {
        for (connection& c : others) {
          pings.spawn([](connection* of) -> task<> { co_await ping(of->client, 20); }, borrowed(&c));
        }
        co_return;
      });
      turns = this_scheduler().stats().turns - before;
      all.cancel();
    });
    CHECK(poured.count() > 0);
    CHECK(poured.wrong() == 0);
    CHECK(turns <= 20 * 50);  // of some 5 for each round: nobody stood behind the firehose
  });
}

TEST_CASE("receive: who keeps all chunks gets everything, and others go on") {
  in_time([]() -> task<> {
    constexpr std::uint64_t size = 4 << 20;
    connection ends = co_await connect_pair();
    connection other = co_await connect_pair();
    std::vector<chunk> hoard;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await send_pattern(ends.client, size); });
      n.spawn([&]() -> task<> { co_await echo(other.server); });
      for (;;) {
        chunk received = co_await ends.server.receive();
        if (received.empty()) break;
        hoard.push_back(std::move(received));
        if (hoard.size() % 10 == 0) co_await ping(other.client, 1);
      }
      co_await ping(other.client, 10);
      n.cancel();
    });
    checked_bytes kept;
    for (const chunk& c : hoard) kept.add(c);
    CHECK(kept.count() == size);
    CHECK(kept.wrong() == 0);
  });
}

TEST_CASE("receive: who keeps every small chunk there is leaves others what they need") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    connection other = co_await connect_pair();
    std::vector<chunk> hoard;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await echo(other.server); });
      for (int count = 0; count < 300; ++count) {
        put(ends.client, std::string(1, static_cast<char>(count)));
        hoard.push_back(co_await ends.server.receive());
      }
      co_await ping(other.client, 10);
      n.cancel();
    });
    for (std::size_t at = 0; at < hoard.size(); ++at) {
      CHECK(hoard[at].text() == std::string(1, static_cast<char>(at)));
    }
    hoard.clear();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await echo(ends.server); });
      co_await ping(ends.client, 100);
      n.cancel();
    });
  });
}

TEST_CASE("receive: a reader that pauses stops its sender, and then gets everything") {
  in_time([]() -> task<> {
    constexpr std::uint64_t size = 8 << 20;
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    checked_bytes received;
    std::size_t sent = 0;
    const std::string all = pattern(size);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await ends.client.write_all(all, sent);
        co_await ends.client.shutdown_send();
      });
      {
        const chunk first = co_await ends.server.receive();
        received.add(first);
      }
      co_await sleep_for(100ms);
      const std::size_t after_a_while = sent;
      co_await sleep_for(50ms);
      CHECK(sent == after_a_while);
      CHECK(sent < size / 2);
      co_await receive_to_end(ends.server, received);
    });
    CHECK(received.count() == size);
    CHECK(received.wrong() == 0);
  });
}

TEST_CASE("receive: five hundred connections get data at the same moment, more than there are buffers") {
  const descriptor_limit limit(1200);
  if (!limit) return kit::skip("no 1,200 descriptors are allowed here");
  in_time([]() -> task<> {
    std::vector<connection> all;
    for (int i = 0; i < 500; ++i) all.push_back(co_await connect_pair());
    for (int round = 0; round < 12; ++round) {
      std::vector<std::string> got(all.size());
      co_await with_nursery([&](nursery& n) -> task<> {
        for (std::size_t i = 0; i < all.size(); ++i) {
          n.spawn(
              [](tcp_stream* from, std::string* into) -> task<> {
                const chunk received = co_await from->receive();
                *into = received.text();
                co_await yield_now();  // with the chunk in hand
              },
              borrowed(&all[i].server), borrowed(&got[i]));
        }
        co_await sleep_for(1ms);
        for (std::size_t i = 0; i < all.size(); ++i) put(all[i].client, std::to_string(i));
      });
      int wrong = 0;
      for (std::size_t i = 0; i < all.size(); ++i) wrong += got[i] != std::to_string(i) ? 1 : 0;
      CHECK(wrong == 0);
    }
  });
}

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

TEST_CASE("receive: a descriptor that does not wait is waited for all the same, without going round and round") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    REQUIRE(::fcntl(ends.server.fd(), F_SETFL, O_NONBLOCK) == 0);
    for (int message = 0; message < 30; ++message) {
      const std::uint64_t before = this_scheduler().stats().sqes;
      const auto nothing = co_await move_on_after(2ms, ends.server.receive());
      CHECK_FALSE(nothing.has_value());
      CHECK(this_scheduler().stats().sqes - before <= 4);
      put(ends.client, "here");
      const chunk received = co_await ends.server.receive();
      CHECK(received.text() == "here");
    }
    co_await ends.client.close();
    const chunk end = co_await ends.server.receive();
    CHECK(end.empty());
  });
}

// --- Who takes it

namespace {

/// Sends the pattern in pieces of any size, at any pace.
task<> send_at_random(socket_stream& to, std::uint64_t size, std::uint64_t seed) {
  kit::random dice(seed);
  for (std::uint64_t sent = 0; sent < size;) {
    const std::uint64_t most = dice.below(4) == 0 ? 30'000 : 600;
    const std::uint64_t count = std::min(size - sent, 1 + dice.below(most));
    const std::string piece = pattern(count, sent);
    co_await to.write_all(piece);
    sent += count;
    if (dice.below(3) == 0) co_await sleep_for(std::chrono::microseconds(dice.below(200)));
  }
  co_await to.shutdown_send();
}

/// One read of any kind, given up at any moment; true at the end of the stream.
task<bool> read_at_random(socket_stream& from, checked_bytes& into, kit::random& dice) {
  const auto patience = std::chrono::microseconds(dice.below(250));
  std::vector<std::byte> buffer(1 + dice.below(9000));
  switch (dice.below(4)) {
    case 0: {
      const auto got = co_await move_on_after(patience, from.read_some(buffer));
      if (got) into.add(std::span(buffer).first(*got));
      co_return got && *got == 0;
    }
    case 1: {
      std::size_t got = 0;
      bool ended = false;
      try {
        co_await move_on_after(patience, from.read_exactly(buffer, got));
      } catch (const end_of_stream&) {
        ended = true;
      }
      into.add(std::span(buffer).first(got));
      co_return ended;
    }
    default: {
      const auto got = co_await move_on_after(patience, from.receive());
      if (got) into.add(*got);
      co_return got && got->empty();
    }
  }
}

}  // namespace

TEST_CASE("receive: reads of every kind, cancelled at any moment, lose no byte") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    in_time([seed]() -> task<> {
      constexpr std::uint64_t size = 200'000;
      connection ends = co_await connect_pair();
      checked_bytes received;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { co_await send_at_random(ends.client, size, seed); });
        kit::random dice(seed + 1000);
        for (bool ended = false; !ended;) ended = co_await read_at_random(ends.server, received, dice);
      });
      CHECK(received.count() == size);
      CHECK(received.wrong() == 0);
    });
  }
}

TEST_CASE("receive: a connection that is reset gives what came before, or nothing, and then an error") {
  for (int round = 0; round < 20; ++round) {
    in_time([]() -> task<> {
      connection ends = co_await connect_pair();
      checked_bytes received;
      int error = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          error = co_await error_of([&]() -> task<> { co_await receive_to_end(ends.server, received); });
        });
        const std::string all = pattern(100'000);
        co_await ends.client.write_all(all);
        ends.client.reset_on_close();
        co_await ends.client.close();
      });
      CHECK(error == ECONNRESET);
      CHECK(received.wrong() == 0);
      const chunk end = co_await ends.server.receive();
      CHECK(end.empty());
    });
  }
}

// Without a request that goes on by itself, the kernel meets the reset in the middle of a receive that waits for all,
// and says only how many bytes came before.
TEST_CASE("receive: a reset behind bytes that nobody waited for is what read_exactly() fails with") {
  for (int round = 0; round < 20; ++round) {
    in_time([]() -> task<> {
      connection ends = co_await connect_pair();
      const auto nothing = co_await move_on_after(1ms, ends.server.receive());
      CHECK_FALSE(nothing.has_value());
      put(ends.client, "part");
      ends.client.reset_on_close();
      co_await ends.client.close();
      co_await sleep_for(1ms);
      std::array<std::byte, 10> whole{};
      std::size_t got = 0;
      bool at_end = false;
      const int error = co_await error_of([&]() -> task<> {
        try {
          co_await ends.server.read_exactly(whole, got);
        } catch (const end_of_stream&) {
          at_end = true;
        }
      });
      CHECK(got == 4);
      CHECK(error == (plain_path() ? 0 : ECONNRESET));
      CHECK(at_end == plain_path());
      const chunk end = co_await ends.server.receive();
      CHECK(end.empty());
    });
  }
}

// --- Readiness without anything to read

namespace {

void put_urgent(const tcp_stream& into) {
  REQUIRE(::send(into.fd(), "!", 1, MSG_OOB | MSG_NOSIGNAL) == 1);
}

/// Makes the second end of a connection fall behind and read it all, so that it waits for readiness from then on.
task<> fall_behind(connection& ends) {
  static_cast<void>(co_await move_on_after(1ms, ends.server.receive()));
  const std::string much = pattern(100'000);
  co_await ends.client.write_all(much);
  co_await sleep_for(5ms);
  checked_bytes received;
  while (received.count() < much.size()) received.add(co_await ends.server.receive());
  CHECK(received.wrong() == 0);
}

}  // namespace

TEST_CASE("receive: an urgent byte alone is nothing to receive, and no error") {
  for (const bool behind : {false, true}) {
    in_time([behind]() -> task<> {
      connection ends = co_await connect_pair();
      if (behind) co_await fall_behind(ends);
      for (int round = 0; round < 20; ++round) {
        std::string got;
        co_await with_nursery([&](nursery& n) -> task<> {
          n.spawn([&]() -> task<> {
            const chunk received = co_await ends.server.receive();
            got = received.text();
          });
          co_await sleep_for(round % 2 * 1ms);
          put_urgent(ends.client);
          co_await sleep_for(1ms);
          CHECK(got.empty());
          co_await ends.client.write_all("in band");
        });
        CHECK(got == "in band");
      }
    });
  }
}

TEST_CASE("receive: after an urgent byte the wait can be cancelled, and the stream closed, at any time") {
  in_time([]() -> task<> {
    for (int round = 0; round < 100; ++round) {
      connection ends = co_await connect_pair();
      if (round % 10 == 0) co_await fall_behind(ends);
      int error = 0;
      bool received = false;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          error = co_await error_of([&]() -> task<> {
            co_await ends.server.receive();
            received = true;
          });
        });
        co_await yield_now();
        if (round % 3 == 0) co_await sleep_for(50us);
        put_urgent(ends.client);
        for (int turns = 0; turns < round % 5; ++turns) co_await yield_now();
        if (round % 2 == 0) {
          n.cancel();
        } else {
          co_await ends.server.close();
        }
      });
      CHECK_FALSE(received);
      CHECK(error == (round % 2 == 0 ? 0 : EBADF));
    }
  });
}

TEST_CASE("receive: a dump is possible while a woken task has not yet seen that its stream was closed") {
  in_time([]() -> task<> {
    for (int round = 0; round < 20; ++round) {
      connection ends = co_await connect_pair();
      if (round == 0) co_await fall_behind(ends);
      int error = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { error = co_await error_of([&]() -> task<> { co_await ends.server.receive(); }); });
        co_await sleep_for(1ms);
        put(ends.client, "x");
        for (int turns = 0; turns < round; ++turns) co_await yield_now();
        const std::string before = dump_tasks();
        CHECK(before.find("task 1") != std::string::npos);
        co_await ends.server.close();
        const std::string after = dump_tasks();
        CHECK(after.find("task 1") != std::string::npos);
      });
      CHECK((error == 0 || error == EBADF));
    }
  });
}

TEST_CASE("receive: two streams on one connection get each byte once, and none is told that there was nothing") {
  in_time([]() -> task<> {
    constexpr int messages = 2000;
    connection ends = co_await connect_pair();
    tcp_stream other(unique_fd(::dup(ends.server.fd())));
    std::size_t got = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (tcp_stream* each : {&ends.server, &other}) {
        n.spawn(
            [&](tcp_stream* from) -> task<> {
              for (;;) {
                const chunk received = co_await from->receive();
                if (received.empty()) break;
                got += received.size();
              }
            },
            borrowed(each));
      }
      for (int i = 0; i < messages; ++i) {
        co_await ends.client.write_all("x");
        if (i % 7 == 0) co_await yield_now();
      }
      co_await ends.client.shutdown_send();
    });
    CHECK(got == messages);
  });
}

// --- Ends

TEST_CASE("receive: a stream may go, or be closed, while data arrives that nobody waits for") {
  in_time([]() -> task<> {
    for (int round = 0; round < 200; ++round) {
      connection ends = co_await connect_pair();
      const auto nothing = co_await move_on_after(std::chrono::microseconds(round), ends.server.receive());
      CHECK_FALSE(nothing.has_value());
      put(ends.client, "nobody");
      if (round % 4 == 0) co_await yield_now();
      put(ends.client, "wants it");
      if (round % 2 == 0) co_await ends.server.close();
      const tcp_stream gone = std::move(ends.server);
    }
  });
}

TEST_CASE("receive: close() ends the wait of another task, and the peer sees it") {
  in_time([]() -> task<> {
    for (int round = 0; round < 50; ++round) {
      connection ends = co_await connect_pair();
      int error = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { error = co_await error_of([&]() -> task<> { co_await ends.server.receive(); }); });
        if (round % 2 == 0) co_await sleep_for(100us);
        co_await yield_now();
        co_await ends.server.close();
      });
      CHECK(error == EBADF);
      const chunk end = co_await ends.client.receive();
      CHECK(end.empty());
    }
  });
}

TEST_CASE("receive: a stream outlives its loop and receives in the next one, and chunks outlive both") {
  std::optional<tcp_stream> client, server;
  std::vector<chunk> kept;
  in_time([&]() -> task<> {
    connection ends = co_await connect_pair();
    put(ends.client, "first");
    kept.push_back(co_await ends.server.receive());
    client = std::move(ends.client);
    server = std::move(ends.server);
  });
  for (const char* message : {"second", "third"}) {
    in_time([&]() -> task<> {
      put(*client, message);
      kept.push_back(co_await server->receive());
    });
  }
  server.reset();
  CHECK(kept[0].text() == "first");
  CHECK(kept[1].text() == "second");
  CHECK(kept[2].text() == "third");
}

TEST_CASE("receive: bytes that arrived for nobody in one loop are there in the next one") {
  std::optional<tcp_stream> client, server;
  in_time([&]() -> task<> {
    connection ends = co_await connect_pair();
    const auto nothing = co_await move_on_after(1ms, ends.server.receive());
    CHECK_FALSE(nothing.has_value());
    put(ends.client, "early");
    co_await sleep_for(1ms);
    client = std::move(ends.client);
    server = std::move(ends.server);
  });
  put(*client, " and late");
  in_time([&]() -> task<> {
    std::string got;
    while (got.size() < 14) {
      const chunk received = co_await server->receive();
      got += received.text();
    }
    CHECK(got == "early and late");
  });
}

TEST_CASE("receive: a request that nobody waits for does not hide a deadlock") {
  const auto stuck = []() -> task<> {
    connection ends = co_await connect_pair();
    static_cast<void>(co_await move_on_after(1ms, ends.server.receive()));
    event never;
    co_await never.wait();
  };
  CHECK_THROWS_AS(run(stuck), deadlock_error);
}

TEST_CASE("receive: two loops on two threads do not know of each other") {
  std::uint64_t wrong[2] = {1, 1};
  const auto exchange = [&wrong](int which) {
    run([&]() -> task<> {
      connection ends = co_await connect_pair();
      checked_bytes back;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { co_await echo(ends.server); });
        n.spawn([&]() -> task<> { co_await send_pattern(ends.client, 2 << 20); });
        co_await receive_to_end(ends.client, back);
      });
      wrong[which] = back.wrong() + (back.count() == 2 << 20 ? 0 : 1);
    });
  };
  std::thread other(exchange, 1);
  exchange(0);
  other.join();
  CHECK(wrong[0] == 0);
  CHECK(wrong[1] == 0);
}
