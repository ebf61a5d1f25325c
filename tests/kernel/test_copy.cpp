// Tests on the kernel of copy.hpp: everything arrives, in order, from any stream to any other, and is counted exactly.
#include "folder.hpp"
#include "kernel.hpp"

#include "kit/bytes.hpp"

#include <array>
#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>

using namespace kernel;

namespace {

// More than a pipe holds, and no round number.
constexpr std::size_t large = 1'000'003;

/// Writes the pattern and ends the stream.
template <class Stream>
task<> send_pattern(Stream& to, std::size_t size) {
  const std::string text = kit::pattern(size);
  co_await to.write_all(text);
  co_await to.shutdown_send();
}

/// What comes must be the pattern, this long.
template <class Stream>
task<> expect_pattern(Stream& from, std::size_t size) {
  kit::checked_bytes bytes;
  for (;;) {
    const chunk received = co_await from.receive();
    if (!received) break;
    bytes.add(received);
  }
  CHECK(bytes.count() == size);
  CHECK(bytes.wrong() == 0);
}

/// Copies and says that nothing more comes.
template <class From, class To>
task<> forward(From& from, To& to, std::size_t size) {
  const std::uint64_t moved = co_await ringlet::copy(from, to);
  CHECK(moved == size);
  co_await to.shutdown_send();
}

/// Copies into a pipe, and is cancelled again and again: every byte must arrive, once.
template <class Source, class From>
task<> expect_none_lost(Source& source, From& from) {
  auto [target, to] = make_pipe();
  co_await with_nursery([&, &input = target, &output = to](nursery& n) -> task<> {
    n.spawn([&]() -> task<> { co_await send_pattern(source, large); });
    n.spawn([&]() -> task<> { co_await expect_pattern(input, large); });
    std::uint64_t moved_in_all = 0;
    for (int round = 0; round < 100'000 && moved_in_all < large; ++round) {
      std::uint64_t moved = 0;
      co_await move_on_after(20us, ringlet::copy(from, output, moved));
      moved_in_all += moved;
    }
    CHECK(moved_in_all == large);
    co_await output.close();
  });
}

/// Reads to the end.
template <class Stream>
task<std::string> rest_of(Stream& from) {
  std::string text;
  for (;;) {
    const chunk received = co_await from.receive();
    if (!received) break;
    text += received.text();
  }
  co_return text;
}

/// source and target: connected streams; what goes into the first is copied, and comes out at the end of the last.
template <class Source, class From, class To, class Target>
task<> expect_copied(Source& source, From& from, To& to, Target& target, std::size_t size) {
  co_await with_nursery([&](nursery& n) -> task<> {
    n.spawn([&, size]() -> task<> { co_await send_pattern(source, size); });
    n.spawn([&, size]() -> task<> { co_await forward(from, to, size); });
    co_await expect_pattern(target, size);
  });
}

}  // namespace

TEST_CASE("copy: pipe to pipe, pipe to socket, socket to pipe and socket to socket, to the last byte") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, large}) {
    in_time([&]() -> task<> {
      auto [from, source] = make_pipe();
      auto [target, to] = make_pipe();
      co_await expect_copied(source, from, to, target, size);
    });
    in_time([&]() -> task<> {
      auto [from, source] = make_pipe();
      connection c = co_await connect_pair();
      co_await expect_copied(source, from, c.client, c.server, size);
    });
    in_time([&]() -> task<> {
      connection c = co_await connect_pair();
      auto [target, to] = make_pipe();
      co_await expect_copied(c.client, c.server, to, target, size);
    });
    in_time([&]() -> task<> {
      connection first = co_await connect_pair();
      connection second = co_await connect_pair();
      co_await expect_copied(first.client, first.server, second.client, second.server, size);
    });
  }
}

TEST_CASE("copy: file to socket to file") {
  in_time([]() -> task<> {
    const folder here;
    constexpr file_mode mode = file_mode::read | file_mode::write | file_mode::create;
    file original = co_await file::open(here / "original", mode);
    const std::string text = kit::pattern(large);
    co_await original.write_at(0, text);
    file second = co_await file::open(here / "second", mode);
    connection c = co_await connect_pair();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        file_reader reader(original);
        co_await forward(reader, c.client, large);
      });
      file_writer writer(second);
      const std::uint64_t moved = co_await ringlet::copy(c.server, writer);
      CHECK(moved == large);
    });
    std::string copied(large + 1, '\0');
    const std::size_t count = co_await second.read_at(0, std::as_writable_bytes(std::span(copied)));
    CHECK(count == large);
    copied.resize(count);
    CHECK(copied == text);
  });
}

TEST_CASE("copy: both streams stay open, and may be used on") {
  in_time([]() -> task<> {
    const folder here;
    file f = co_await file::open(here / "data", file_mode::read | file_mode::write | file_mode::create);
    co_await f.write_at(0, "once ");
    auto [target, to] = make_pipe();
    file_reader reader(f);
    co_await ringlet::copy(reader, to);
    co_await f.write_at(f.size(), "more");
    const std::uint64_t moved = co_await ringlet::copy(reader, to);
    CHECK(moved == 4);
    co_await to.close();
    const std::string text = co_await rest_of(target);
    CHECK(text == "once more");
  });
}

TEST_CASE("copy: an error of either side comes out, and `moved` says what was taken by then") {
  in_time([]() -> task<> {
    file full = co_await file::open("/dev/full", file_mode::write);
    auto [from, source] = make_pipe();
    co_await source.write_all("lost");
    co_await source.close();
    file_writer writer(full);
    std::uint64_t moved = 7;
    co_await expect_error(ENOSPC, [&]() -> task<> { co_await ringlet::copy(from, writer, moved); });
    CHECK(moved == 0);
    const folder here;
    const file directory = co_await file::open(here / "");
    file_reader reader(directory);
    auto [target, to] = make_pipe();
    co_await expect_error(EISDIR, [&]() -> task<> { co_await ringlet::copy(reader, to, moved); });
    co_await target.close();
    file zeros = co_await file::open("/dev/zero");
    file_reader endless(zeros);
    co_await expect_error(EPIPE, [&]() -> task<> { co_await ringlet::copy(endless, to, moved); });
    CHECK(moved == 0);
  });
}

TEST_CASE("copy: a cancelled one has moved exactly what the other side gets") {
  in_time([]() -> task<> {
    file zeros = co_await file::open("/dev/zero");
    file_reader endless(zeros);
    auto [target, to] = make_pipe();
    std::uint64_t moved = 0;
    const bool ended = co_await move_on_after(20ms, ringlet::copy(endless, to, moved));
    CHECK(!ended);
    CHECK(moved > 0);
    co_await to.close();
    std::uint64_t arrived = 0;
    for (;;) {
      const chunk received = co_await target.receive();
      if (!received) break;
      arrived += received.size();
    }
    CHECK(arrived == moved);
  });
}

TEST_CASE("copy: one that waits for input can be cancelled, and what comes later is still there") {
  in_time([]() -> task<> {
    auto [from, source] = make_pipe();
    auto [target, to] = make_pipe();
    std::uint64_t moved = 7;
    const bool ended = co_await move_on_after(5ms, ringlet::copy(from, to, moved));
    CHECK(!ended);
    CHECK(moved == 0);
    co_await source.write_all("late");
    co_await source.close();
    const std::uint64_t later = co_await ringlet::copy(from, to);
    CHECK(later == 4);
  });
}

// --- Into pipes, within the kernel

TEST_CASE("copy: one into a full pipe that is cancelled has taken nothing for which there was no room") {
  in_time([]() -> task<> {
    auto [from, source] = make_pipe();
    auto [target, to] = make_pipe();
    const std::string text = kit::pattern(50'000);
    std::uint64_t moved = 0;
    std::uint64_t moved_in_all = 0;
    co_await source.write_all(text);
    for (int round = 0; round < 3; ++round) {
      const bool ended = co_await move_on_after(5ms, ringlet::copy(from, to, moved));
      CHECK(!ended);
      moved_in_all += moved;
      if (round == 0) co_await source.write_all(text);
    }
    CHECK(moved_in_all > 0);
    CHECK(moved_in_all < 2 * text.size());
    co_await source.close();
    co_await to.close();
    const std::string taken = co_await rest_of(target);
    const std::string left = co_await rest_of(from);
    CHECK(taken.size() == moved_in_all);
    CHECK(taken + left == text + text);
  });
}

TEST_CASE("copy: one into a pipe that is cancelled again and again loses nothing") {
  in_time([]() -> task<> {
    auto [from, source] = make_pipe();
    co_await expect_none_lost(source, from);
  });
  in_time([]() -> task<> {
    connection c = co_await connect_pair();
    co_await expect_none_lost(c.client, c.server);
  });
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    co_await expect_none_lost(one, other);
  });
}

TEST_CASE("copy: a pipe that nobody reads any more is an error, and nothing of the source is lost") {
  in_time([]() -> task<> {
    auto [from, source] = make_pipe();
    auto [target, to] = make_pipe();
    pipe_reader& input = from;
    pipe_writer& output = to;
    co_await source.write_all("still there");
    co_await source.close();
    co_await target.close();
    std::uint64_t moved = 7;
    const auto copying = [&]() -> task<> { co_await ringlet::copy(input, output, moved); };
    const auto error = co_await kit::thrown_by<os_error>(copying);
    REQUIRE(error);
    const std::string ends = "fd " + std::to_string(from.fd()) + " to fd " + std::to_string(to.fd());
    CHECK(std::string(error->what()) == "splice " + ends + ": broken pipe");
    CHECK(moved == 0);
    const std::string left = co_await rest_of(input);
    CHECK(left == "still there");
  });
}

TEST_CASE("copy: what was read ahead comes first") {
  in_time([]() -> task<> {
    connection c = co_await connect_pair();
    auto [target, to] = make_pipe();
    const auto nothing = co_await move_on_after(1ms, c.server.receive());
    CHECK_FALSE(nothing);
    co_await c.client.write_all("ahead ");
    co_await sleep_for(5ms);
    co_await with_nursery([&, &from = c.server, &output = to](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await forward(from, output, 12); });
      co_await yield_now();
      co_await c.client.write_all("behind");
      co_await c.client.shutdown_send();
    });
    const std::string text = co_await rest_of(target);
    CHECK(text == "ahead behind");
  });
}

TEST_CASE("copy: into a file that is open to append, which the kernel does not splice") {
  in_time([]() -> task<> {
    const folder here;
    const std::string path = here / "log";
    auto [from, source] = make_pipe();
    pipe_writer to(unique_fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)));
    co_await source.write_all("a line");
    co_await source.close();
    const std::uint64_t moved = co_await ringlet::copy(from, to);
    CHECK(moved == 6);
    file written = co_await file::open(path);
    CHECK(written.size() == 6);
  });
}

TEST_CASE("copy: urgent bytes of a peer neither end it nor hold it up") {
  for (const int flags : {0, O_NONBLOCK}) {
    in_time([&]() -> task<> {
      connection c = co_await connect_pair();
      auto [target, to] = make_pipe();
      REQUIRE(::fcntl(c.server.fd(), F_SETFL, flags) == 0);
      co_await with_nursery([&, &input = target, &output = to](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { co_await forward(c.server, output, 12); });
        co_await c.client.write_all("before ");
        REQUIRE(::send(c.client.fd(), "!", 1, MSG_OOB) == 1);
        co_await c.client.write_all("after");
        std::string text(12, '\0');
        co_await input.read_exactly(std::as_writable_bytes(std::span(text)));
        CHECK(text == "before after");
        co_await c.client.shutdown_send();
      });
    });
  }
}

TEST_CASE("copy: a connection that is reset is an error, not the end") {
  in_time([]() -> task<> {
    connection c = co_await connect_pair();
    auto [target, to] = make_pipe();
    pipe_writer& output = to;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await expect_error(ECONNRESET, [&]() -> task<> { co_await ringlet::copy(c.server, output); });
      });
      co_await sleep_for(5ms);
      c.client.reset_on_close();
      co_await c.client.close();
    });
  });
}

TEST_CASE("copy: while it waits for input others may write to the pipe, and while it waits for room they may not") {
  in_time([]() -> task<> {
    auto [from, source] = make_pipe();
    auto [target, to] = make_pipe();
    pipe_reader& input = from;
    pipe_writer& output = to;
    co_await with_nursery([&, &feed = source](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await ringlet::copy(input, output); });
      co_await sleep_for(5ms);
      co_await output.write_all("by hand");
      std::array<std::byte, 8> buffer;
      co_await expect_error(EBUSY, [&]() -> task<> { co_await input.read_some(buffer); });
      co_await feed.write_all(kit::pattern(50'000));
      co_await sleep_for(5ms);
      co_await feed.write_all(kit::pattern(50'000));
      co_await sleep_for(5ms);
      co_await expect_error(EBUSY, [&]() -> task<> { co_await output.write_all("too"); });
      n.cancel();
    });
    co_await to.close();
    const std::string text = co_await rest_of(target);
    CHECK(text.starts_with("by hand"));
  });
}

TEST_CASE("copy: closing either end ends it, whatever it waits for") {
  for (const bool full : {false, true}) {
    for (const bool close_source : {false, true}) {
      in_time([&]() -> task<> {
        auto [from, source] = make_pipe();
        auto [target, to] = make_pipe();
        pipe_reader& input = from;
        pipe_writer& output = to;
        if (full) {
          fill(output.fd());
          co_await source.write_all("no room");
        }
        co_await with_nursery([&, &feed = source](nursery& n) -> task<> {
          n.spawn([&]() -> task<> {
            co_await expect_error(EBADF, [&]() -> task<> { co_await ringlet::copy(input, output); });
          });
          co_await sleep_for(5ms);
          if (close_source) co_await input.close();
          if (!close_source) co_await output.close();
          if (!close_source && !full) co_await feed.write_all("for nobody");
        });
      });
    }
  }
}
