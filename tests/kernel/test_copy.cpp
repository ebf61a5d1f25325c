// Tests on the kernel of copy.hpp: everything arrives, in order, from any stream to any other, and is counted exactly.
#include "folder.hpp"
#include "kernel.hpp"

#include "kit/bytes.hpp"

#include <optional>
#include <string>

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
    std::string text;
    for (;;) {
      const chunk received = co_await target.receive();
      if (!received) break;
      text += received.text();
    }
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
