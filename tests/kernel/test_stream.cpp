// Tests on the kernel: the ends of streams, their closing, and who may use them at a time.
#include "kernel.hpp"

#include <array>

#include <poll.h>
#include <sys/socket.h>

using namespace kernel;

namespace {

using buffer = std::array<std::byte, 64>;

task<> read_one(tcp_stream* from, int* error, std::size_t* got) {
  buffer to;
  *error = co_await error_of([&]() -> task<> { *got = co_await from->read_some(to); });
}

}  // namespace

TEST_CASE("stream: after the end, reading keeps giving the end") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    co_await ends.client.write_all("last");
    co_await ends.client.shutdown_send();
    co_await expect_text(ends.server, "last");
    for (int again = 0; again < 3; ++again) co_await expect_text(ends.server, "");
  });
}

TEST_CASE("stream: after its close every operation is an error, and closing again is none") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    tcp_stream& s = ends.client;
    co_await s.close();
    co_await s.close();
    CHECK(s.fd() == -1);
    buffer to;
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.read_some(to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.read_exactly(to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.write_some(to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.write_all("x"); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.write_all(""); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.shutdown_send(); });
  });
}

TEST_CASE("stream: a second reader is told that the stream is busy, and the first gets its bytes") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    int first = -1, second = -1;
    std::size_t got = 0, nothing = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(read_one, borrowed(&ends.server), borrowed(&first), borrowed(&got));
      co_await yield_now();
      co_await read_one(&ends.server, &second, &nothing);
      co_await ends.client.write_all("abc");
    });
    CHECK(second == EBUSY);
    CHECK(first == 0);
    CHECK(got == 3);
  });
}

TEST_CASE("stream: a second writer is told that the stream is busy, and nothing of it is sent") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    const std::string mine(1 << 20, 'm');
    std::size_t received = 0, foreign = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await ends.client.write_all(mine);
        co_await ends.client.shutdown_send();
      });
      co_await yield_now();
      co_await expect_error(EBUSY, [&]() -> task<> { co_await ends.client.write_all("other"); });
      co_await expect_error(EBUSY, [&]() -> task<> { co_await ends.client.shutdown_send(); });
      std::vector<std::byte> to(64 * 1024);
      while (const std::size_t got = co_await ends.server.read_some(to)) {
        received += got;
        for (std::size_t at = 0; at < got; ++at) foreign += to[at] != std::byte{'m'};
      }
    });
    CHECK(received == mine.size());
    CHECK(foreign == 0);
  });
}

TEST_CASE("stream: writing nothing is not the end of the stream") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    co_await ends.client.write_all("");
    const std::size_t none = co_await ends.client.write_some({});
    CHECK(none == 0);
    buffer to;
    const auto got = co_await move_on_after(20ms, ends.server.read_some(to));
    CHECK_FALSE(got.has_value());
    co_await ends.client.write_all("x");
    co_await expect_text(ends.server, "x");
  });
}

TEST_CASE("stream: reading into nothing gives nothing and does not wait") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    const std::size_t none = co_await ends.server.read_some({});
    CHECK(none == 0);
    co_await ends.server.read_exactly({});
  });
}

TEST_CASE("stream: shutdown_send twice, or of a socket without a peer, is no error") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    co_await ends.client.shutdown_send();
    co_await ends.client.shutdown_send();
    co_await expect_text(ends.server, "");
    co_await ends.server.write_all("still open this way");
    co_await expect_text(ends.client, "still open this way");
    tcp_stream unconnected(unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    co_await unconnected.shutdown_send();
  });
}

TEST_CASE("stream: read_exactly tells how far it came when the stream ends first") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    co_await ends.client.write_all("abc");
    co_await ends.client.shutdown_send();
    std::array<std::byte, 8> to;
    std::size_t got = 0;
    bool ended = false;
    try {
      co_await ends.server.read_exactly(to, got);
    } catch (const end_of_stream&) {
      ended = true;
    }
    CHECK(ended);
    CHECK(got == 3);
  });
}

TEST_CASE("stream: a write to a peer that has reset the connection is an error and no signal") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    ends.server.reset_on_close();
    co_await ends.server.close();
    co_await readable(ends.client.fd());
    const int first = co_await error_of([&]() -> task<> { co_await ends.client.write_all("x"); });
    const int second = co_await error_of([&]() -> task<> { co_await ends.client.write_all("x"); });
    CHECK((first == ECONNRESET || first == EPIPE));
    CHECK(second == EPIPE);
  });
}

TEST_CASE("stream: close() ends a read of another task with an error, and the peer sees the end") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    int error = -1;
    std::size_t got = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(read_one, borrowed(&ends.server), borrowed(&error), borrowed(&got));
      co_await sleep_for(5ms);
      co_await ends.server.close();
      CHECK(ends.server.fd() == -1);
      co_await expect_text(ends.client, "");
    });
    CHECK(error == EBADF);
  });
}

TEST_CASE("stream: close() ends a write of another task with an error and its exact byte count") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    const std::string data(8 << 20, 'd');
    std::size_t sent = 0, received = 0;
    int error = -1;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        error = co_await error_of([&]() -> task<> { co_await ends.client.write_all(data, sent); });
      });
      co_await sleep_for(20ms);
      co_await ends.client.close();
      std::vector<std::byte> to(64 * 1024);
      while (const std::size_t got = co_await ends.server.read_some(to)) received += got;
    });
    CHECK(error == EBADF);
    CHECK(sent > 0);
    CHECK(sent == received);
  });
}

TEST_CASE("stream: several tasks may close at once, and all wait until it is closed") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    int error = -1, closers_done = 0;
    std::size_t got = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(read_one, borrowed(&ends.server), borrowed(&error), borrowed(&got));
      co_await sleep_for(5ms);
      for (int count = 0; count < 3; ++count) {
        n.spawn([&]() -> task<> {
          co_await ends.server.close();
          CHECK(ends.server.fd() == -1);
          ++closers_done;
        });
      }
    });
    CHECK(closers_done == 3);
    CHECK(error == EBADF);
  });
}

TEST_CASE("stream: close() closes although its task is cancelled") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    cancel_scope scope;
    scope.cancel();
    co_await scope.run([&]() -> task<> { co_await ends.server.close(); });
    CHECK(ends.server.fd() == -1);
  });
}

TEST_CASE("stream: a descriptor number that is given out again gets no byte of the old connection") {
  in_time([]() -> task<> {
    for (int round = 0; round < 50; ++round) {
      connection old = co_await connect_pair();
      int error = -1;
      std::size_t got = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn(read_one, borrowed(&old.server), borrowed(&error), borrowed(&got));
        co_await yield_now();
        co_await old.server.close();
        connection fresh = co_await connect_pair();
        co_await fresh.client.write_all("new");
        co_await expect_text(fresh.server, "new");
      });
      CHECK(error == EBADF);
    }
  });
}

TEST_CASE("stream: a stream may move while an operation on it is in flight") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    int error = -1;
    std::size_t got = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(read_one, borrowed(&ends.server), borrowed(&error), borrowed(&got));
      co_await yield_now();
      const tcp_stream moved = std::move(ends.server);
      co_await ends.client.write_all("abc");
      while (error == -1) co_await sleep_for(1ms);
    });
    CHECK(error == 0);
    CHECK(got == 3);
  });
}

TEST_CASE("stream: a descriptor that is not open is an error at once, for every operation") {
  in_time([]() -> task<> {
    constexpr int not_open = 19'999;
    buffer to;
    co_await expect_error(EBADF, [&]() -> task<> { co_await read_some(not_open, to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await write_some(not_open, to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await readable(not_open); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await writable(not_open); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await poll(not_open, POLLIN); });
    tcp_stream s{unique_fd(not_open)};
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.read_some(to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.write_all("x"); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await s.shutdown_send(); });
    CHECK_THROWS_AS(s.local(), os_error);
    tcp_listener l{unique_fd(not_open)};
    co_await expect_error(EBADF, [&]() -> task<> { co_await l.accept(); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await read_some(-1, to); });
  });
}

TEST_CASE("stream: a descriptor of another kind is an error at once") {
  in_time([]() -> task<> {
    const pipe_ends p = plain_pipe();
    tcp_stream s{unique_fd(::dup(p.read.get()))};
    buffer to;
    co_await expect_error(ENOTSOCK, [&]() -> task<> { co_await s.read_some(to); });
    tcp_listener not_listening{unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    co_await expect_error(EINVAL, [&]() -> task<> { co_await not_listening.accept(); });
    tcp_listener datagrams{unique_fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))};
    co_await expect_error(EOPNOTSUPP, [&]() -> task<> { co_await datagrams.accept(); });
  });
}

TEST_CASE("stream: an error names the operation and the descriptor") {
  in_time([]() -> task<> {
    std::string text;
    buffer to;
    try {
      co_await read_some(19'999, to);
    } catch (const os_error& e) {
      text = e.what();
    }
    CHECK(text == "read fd 19999: bad file descriptor");
  });
}
