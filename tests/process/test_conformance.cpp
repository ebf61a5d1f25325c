// Tests of what every stream does, whatever it is made of: TCP, unix-domain sockets, pipes, the pipes of a child,
// memory.
#include "process.hpp"

#include "kit/faulty_driver.hpp"
#include "kit/sim.hpp"

#include <array>

using namespace processes;

namespace {

/// Where a kind of stream is tried: on a ring, and then on one that is disturbed all the time.
struct on_the_kernel {
  static inline std::size_t more_than_fits = 0;

  template <class Body>
  static void run(Body body) {
    more_than_fits = 8 << 20;
    in_time(body);
    more_than_fits = 1 << 20;
    kit::for_each_seed(5, [&](std::uint64_t seed) {
      INFO("despite faults");
      kit::faulty_driver ring(seed);
      in_time(options().driver(ring), body);
    });
  }
};

/// One way through a connection: what is written to writer() comes out of reader().
struct over_tcp : on_the_kernel {
  static task<over_tcp> open() {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    co_return over_tcp{{}, std::move(ends)};
  }
  tcp_stream& writer() { return ends.client; }
  tcp_stream& reader() { return ends.server; }

  connection ends;
};

struct over_unix : on_the_kernel {
  static task<over_unix> open() { co_return over_unix{{}, unix_stream::pair()}; }
  unix_stream& writer() { return ends.first; }
  unix_stream& reader() { return ends.second; }

  std::pair<unix_stream, unix_stream> ends;
};

struct over_pipe : on_the_kernel {
  static task<over_pipe> open() { co_return over_pipe{{}, make_pipe()}; }
  pipe_writer& writer() { return ends.second; }
  pipe_reader& reader() { return ends.first; }

  std::pair<pipe_reader, pipe_writer> ends;
};

/// Through a child that copies its input to its output.
struct over_child : on_the_kernel {
  static task<over_child> open() {
    auto copy = cmd("cat").in(stdio::pipe()).out(stdio::pipe());
    auto started = co_await process::spawn(std::move(copy));
    co_return over_child{{}, std::move(started)};
  }
  pipe_writer& writer() { return copier.in(); }
  pipe_reader& reader() { return copier.out(); }

  process::child copier;
};

template <std::size_t Capacity>
struct through_memory {
  static task<through_memory> open() { co_return through_memory{memory_stream_pair(Capacity)}; }
  memory_stream& writer() { return ends.first; }
  memory_stream& reader() { return ends.second; }

  std::pair<memory_stream, memory_stream> ends;
};

struct over_memory {
  static constexpr std::size_t more_than_fits = 8 << 20;
  template <class Body>
  static void run(Body body) {
    in_time(std::move(body));
  }
  static task<through_memory<64 * 1024>> open() { return through_memory<64 * 1024>::open(); }
};

/// With hardly any room, in every order of the tasks.
struct over_tight_memory {
  static constexpr std::size_t more_than_fits = 1000;
  template <class Body>
  static void run(Body body) {
    kit::in_every_order([&](simulation&) { return body(); });
  }
  static task<through_memory<16>> open() { return through_memory<16>::open(); }
};

#define RINGLET_EVERY_SOCKET over_tcp, over_unix, over_memory, over_tight_memory
#define RINGLET_EVERY_STREAM RINGLET_EVERY_SOCKET, over_pipe, over_child

std::string numbered(std::size_t size) {
  std::string text;
  for (int number = 0; text.size() < size; ++number) text += std::to_string(number) + ",";
  text.resize(size);
  return text;
}

template <class Stream>
bool is_closed(const Stream& stream) {
  if constexpr (std::is_same_v<Stream, memory_stream>) {
    return stream.closed();
  } else {
    return stream.fd() == -1;
  }
}

/// Reads once; what comes must be this. Empty is the end of the stream.
template <class Reader>
task<> expect_read(Reader& from, std::string expected) {
  std::array<char, 256> to{};
  const std::size_t got = co_await from.read_some(std::as_writable_bytes(std::span(to)));
  CHECK(std::string(to.data(), got) == expected);
}

/// Reads as much as is expected, in whatever pieces.
template <class Reader>
task<> expect_exactly(Reader& from, std::string expected) {
  std::string got(expected.size(), '\0');
  co_await from.read_exactly(std::as_writable_bytes(std::span(got)));
  CHECK(got == expected);
}

/// Reads to the end, in pieces of random sizes and as chunks.
template <class Reader>
task<> read_all(Reader* from, std::string* got) {
  std::vector<char> to(100'000);
  for (std::size_t turn = 0;; ++turn) {
    const std::size_t size = 1 + turn * 7919 % to.size();
    if (turn % 3 == 0) {
      const chunk received = co_await from->receive();
      if (received.empty()) co_return;
      got->append(received.text());
    } else {
      const std::size_t count = co_await from->read_some(std::as_writable_bytes(std::span(to).first(size)));
      if (count == 0) co_return;
      got->append(to.data(), count);
    }
  }
}

template <class Writer>
task<> write_and_end(Writer* to, const std::string* text) {
  co_await to->write_all(*text);
  co_await to->shutdown_send();
}

template <class Reader>
task<> read_one(Reader* from, int* error, std::size_t* got) {
  std::array<std::byte, 64> to;
  *error = co_await error_of([&]() -> task<> { *got = co_await from->read_some(to); });
}

}  // namespace

TEMPLATE_TEST_CASE("every stream: bytes come in order and complete, and after the end there is only the end", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    const std::string sent = numbered(TestType::more_than_fits);
    std::string got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(write_and_end<std::remove_reference_t<decltype(way.writer())>>, borrowed(&way.writer()), borrowed(&sent));
      n.spawn(read_all<std::remove_reference_t<decltype(way.reader())>>, borrowed(&way.reader()), borrowed(&got));
      co_return;
    });
    CHECK(got.size() == sent.size());
    CHECK((got == sent));
    for (int again = 0; again < 3; ++again) {
      co_await expect_read(way.reader(), "");
      const chunk none = co_await way.reader().receive();
      CHECK(none.empty());
    }
  });
}

TEMPLATE_TEST_CASE("every stream: writing nothing is not the end, and reading into nothing does not wait", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    co_await way.writer().write_all("");
    const std::size_t none = co_await way.writer().write_some({});
    CHECK(none == 0);
    const std::size_t nothing = co_await way.reader().read_some({});
    CHECK(nothing == 0);
    co_await way.reader().read_exactly({});
    std::array<std::byte, 8> to;
    const auto early = co_await move_on_after(20ms, way.reader().read_some(to));
    CHECK_FALSE(early);
    co_await way.writer().write_all("x");
    co_await expect_read(way.reader(), "x");
  });
}

TEMPLATE_TEST_CASE("every stream: a second reader is told that it is busy, and the first gets the bytes", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& reader = way.reader();
    int first = -1, second = -1;
    std::size_t got = 0, nothing = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(read_one<std::remove_reference_t<decltype(reader)>>, borrowed(&reader), borrowed(&first), borrowed(&got));
      co_await sleep_for(1ms);
      co_await read_one(&reader, &second, &nothing);
      co_await expect_error(EBUSY, [&]() -> task<> { co_await reader.receive(); });
      co_await way.writer().write_all("x");
    });
    CHECK(second == EBUSY);
    CHECK(first == 0);
    CHECK(got == 1);
  });
}

TEMPLATE_TEST_CASE("every stream: a second writer is told that it is busy, and nothing of it arrives", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& writer = way.writer();
    const std::string mine(TestType::more_than_fits, 'm');
    std::string got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(write_and_end<std::remove_reference_t<decltype(writer)>>, borrowed(&writer), borrowed(&mine));
      co_await sleep_for(1ms);
      co_await expect_error(EBUSY, [&]() -> task<> { co_await writer.write_all("other"); });
      co_await read_all(&way.reader(), &got);
    });
    CHECK((got == mine));
  });
}

TEMPLATE_TEST_CASE("every stream: closing ends a read of another task with an error", "", RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& reader = way.reader();
    int error = -1;
    std::size_t got = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(read_one<std::remove_reference_t<decltype(reader)>>, borrowed(&reader), borrowed(&error), borrowed(&got));
      co_await sleep_for(5ms);
      co_await reader.close();
      CHECK(is_closed(reader));
    });
    CHECK(error == EBADF);
  });
}

TEMPLATE_TEST_CASE("every stream: closing ends a receive of another task with an error", "", RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& reader = way.reader();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await expect_error(EBADF, [&]() -> task<> { co_await reader.receive(); }); });
      co_await sleep_for(5ms);
      co_await reader.close();
    });
  });
}

TEMPLATE_TEST_CASE("every stream: closing ends a write of another task with an error and its exact count", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& writer = way.writer();
    const std::string data(TestType::more_than_fits, 'd');
    std::size_t sent = 0;
    std::string received;
    int error = -1;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(
          [&]() -> task<> { error = co_await error_of([&]() -> task<> { co_await writer.write_all(data, sent); }); });
      co_await sleep_for(20ms);
      co_await writer.close();
      co_await read_all(&way.reader(), &received);
    });
    CHECK(error == EBADF);
    CHECK(sent > 0);
    CHECK(sent == received.size());
  });
}

TEMPLATE_TEST_CASE("every stream: closing twice is no error, and whatever comes after is one", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& reader = way.reader();
    auto& writer = way.writer();
    std::array<std::byte, 8> to;
    for (int twice = 0; twice < 2; ++twice) {
      co_await reader.close();
      co_await writer.close();
    }
    CHECK(is_closed(writer));
    co_await expect_error(EBADF, [&]() -> task<> { co_await reader.read_some(to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await reader.read_exactly(to); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await reader.receive(); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await writer.write_some(std::as_bytes(std::span("x"))); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await writer.write_all("x"); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await writer.write_all(""); });
  });
}

TEMPLATE_TEST_CASE("every stream: reads that are cancelled again and again lose nothing", "", RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& reader = way.reader();
    const std::string sent = numbered(20'000);
    std::string got;
    std::size_t cancelled_reads = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (std::size_t at = 0; at < sent.size(); at += 100) {
          co_await way.writer().write_all(std::string_view(sent).substr(at, 100));
          co_await sleep_for(std::chrono::microseconds(at % 700));
        }
        co_await way.writer().shutdown_send();
      });
      std::array<char, 70> to{};
      for (std::size_t turn = 0;; ++turn) {
        const auto patience = std::chrono::microseconds(turn * 37 % 500);
        const auto count = co_await move_on_after(patience, reader.read_some(std::as_writable_bytes(std::span(to))));
        cancelled_reads += count ? 0u : 1u;
        if (count) got.append(to.data(), *count);
        if (count && *count == 0) break;
        const auto more = co_await move_on_after(patience, reader.receive());
        if (more) got.append(more->text());
        if (more && more->empty()) break;
      }
    });
    CHECK(got == sent);
    CHECK(cancelled_reads > 0);
  });
}

TEMPLATE_TEST_CASE("every stream: a cancelled write says how much has gone, and exactly that arrives", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    const std::string data = numbered(TestType::more_than_fits);
    std::size_t sent = 0;
    const bool done = co_await move_on_after(20ms, way.writer().write_all(bytes_of(data), sent));
    CHECK_FALSE(done);
    CHECK(sent > 0);
    CHECK(sent < data.size());
    co_await way.writer().shutdown_send();
    std::string got;
    co_await read_all(&way.reader(), &got);
    CHECK((got == data.substr(0, sent)));
  });
}

TEMPLATE_TEST_CASE("every stream: read_exactly tells how far it came when the stream ends first", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    co_await way.writer().write_all("abc");
    co_await way.writer().shutdown_send();
    std::array<std::byte, 8> to;
    std::size_t got = 0;
    const auto error = co_await kit::thrown_by<end_of_stream>(
        [&, &reader = way.reader()]() -> task<> { co_await reader.read_exactly(to, got); });
    CHECK(error.has_value());
    CHECK(got == 3);
  });
}

TEMPLATE_TEST_CASE("every stream: writing to a reader that has gone is an error in the end, and no signal", "",
                   RINGLET_EVERY_STREAM) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& writer = way.writer();
    co_await way.reader().close();
    const std::string piece(10'000, 'x');
    int error = 0;
    for (int turn = 0; turn < 10'000 && error == 0; ++turn) {
      error = co_await error_of([&]() -> task<> { co_await writer.write_all(piece); });
    }
    CHECK((error == EPIPE || error == ECONNRESET));
    co_await expect_error(EPIPE, [&]() -> task<> { co_await writer.write_all("x"); });
  });
}

TEMPLATE_TEST_CASE("every socket: large transfers go both ways at once", "", RINGLET_EVERY_SOCKET) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    using stream = std::remove_reference_t<decltype(way.writer())>;
    const std::string there = numbered(TestType::more_than_fits), back(TestType::more_than_fits, 'b');
    std::string got_there, got_back;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(write_and_end<stream>, borrowed(&way.writer()), borrowed(&there));
      n.spawn(write_and_end<stream>, borrowed(&way.reader()), borrowed(&back));
      n.spawn(read_all<stream>, borrowed(&way.reader()), borrowed(&got_there));
      n.spawn(read_all<stream>, borrowed(&way.writer()), borrowed(&got_back));
      co_return;
    });
    CHECK((got_there == there));
    CHECK((got_back == back));
  });
}

TEMPLATE_TEST_CASE("every socket: after shutdown_send reading goes on, writing is EPIPE, and again is no error", "",
                   RINGLET_EVERY_SOCKET) {
  TestType::run([]() -> task<> {
    auto way = co_await TestType::open();
    auto& one = way.writer();
    auto& other = way.reader();
    co_await one.write_all("last words");
    co_await one.shutdown_send();
    co_await one.shutdown_send();
    co_await expect_error(EPIPE, [&]() -> task<> { co_await one.write_all("x"); });
    co_await expect_exactly(other, "last words");
    co_await expect_read(other, "");
    co_await other.write_all("an answer");
    co_await expect_exactly(one, "an answer");
    co_await other.close();
    co_await expect_read(one, "");
  });
}

TEST_CASE("faulty driver: each kind of fault comes, and nothing is lost by it") {
  kit::for_each_seed(5, [](std::uint64_t seed) {
    kit::faulty_driver ring(seed);
    in_time(options().driver(ring), []() -> task<> {
      auto way = co_await over_tcp::open();
      for (int number = 1000; number < 1300; ++number) {
        const std::string sent = std::to_string(number);
        std::string got;
        co_await way.writer().write_all(sent);
        while (got.size() < sent.size()) {
          const chunk received = co_await way.reader().receive();
          got += received.text();
        }
        CHECK(got == sent);
      }
    });
    CHECK(ring.faults().shortened > 0);
    CHECK(ring.faults().refused > 0);
    CHECK(ring.faults().late > 0);
    const bool has_multishot = !plain_path();
    if (has_multishot) CHECK(ring.faults().ended_early > 0);
  });
}
