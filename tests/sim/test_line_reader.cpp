// Tests of line_reader.hpp: lines come whole and in order, however the bytes come, and a cancelled reader loses none.
#include "kit/errors.hpp"
#include "kit/random.hpp"
#include "kit/to_the_end.hpp"

#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// Gives its pieces one a read, and then the end.
class pieces {
 public:
  explicit pieces(std::vector<std::string> all) : all_(std::move(all)) {}

  task<std::size_t> read_some(std::span<std::byte> to) {
    ++reads_;
    co_await yield_now();
    if (next_ == all_.size()) co_return 0;
    std::string& piece = all_[next_];
    const std::size_t count = std::min(piece.size(), to.size());
    std::memcpy(to.data(), piece.data(), count);
    piece.erase(0, count);
    if (piece.empty()) ++next_;
    co_return count;
  }

  int reads() const { return reads_; }

 private:
  std::vector<std::string> all_;
  std::size_t next_ = 0;
  int reads_ = 0;
};

/// All lines, each as next() gave it, "<too long>" where it threw.
template <class Stream>
task<std::vector<std::string>> lines_of(line_reader<Stream>& reader) {
  std::vector<std::string> lines;
  for (;;) {
    bool too_long = false;
    try {
      const std::optional<std::string_view> line = co_await reader.next();
      if (!line) co_return lines;
      lines.emplace_back(*line);
    } catch (const line_too_long&) {
      too_long = true;
    }
    if (too_long) lines.emplace_back("<too long>");
  }
}

std::vector<std::string> read_all(std::vector<std::string> given, std::size_t max_line = 64 * 1024) {
  simulation world;
  return run(world.how(), [&]() -> task<std::vector<std::string>> {
    pieces stream(std::move(given));
    line_reader reader(stream, max_line);
    std::vector<std::string> lines = co_await lines_of(reader);
    co_return lines;
  });
}

/// What a line reader must give of this text.
std::vector<std::string> expected_lines(const std::string& text, std::size_t max_line) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(end - at > max_line ? "<too long>" : text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::vector<std::string> cut_at_random(const std::string& text, kit::random& draw) {
  std::vector<std::string> cut;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = 1 + draw.below(draw.one_in(4) ? 5000 : 12);
    cut.push_back(text.substr(at, size));
    at += size;
  }
  return cut;
}

using lines = std::vector<std::string>;

template <class Stream>
task<> expect_too_long(line_reader<Stream>& reader) {
  const auto error = co_await kit::thrown_by<line_too_long>([&] { return reader.next(); });
  CHECK(error.has_value());
}

}  // namespace

TEST_CASE("line_reader: gives each line without its newline, and then nothing for ever") {
  simulation world;
  run(world.how(), []() -> task<> {
    pieces stream(lines{"one\ntwo\n\nfour\n"});
    line_reader reader(stream);
    const lines all = co_await lines_of(reader);
    CHECK(all == lines{"one", "two", "", "four"});
    for (int i = 0; i < 3; ++i) {
      const auto after = co_await reader.next();
      CHECK_FALSE(after.has_value());
    }
  });
}

TEST_CASE("line_reader: the same lines wherever the bytes are cut") {
  const std::string text = "a\r\n\nbcd\n\r\nlast line\n";
  const lines expected{"a\r", "", "bcd", "\r", "last line"};
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      lines cut;
      for (const auto& piece : {text.substr(0, first), text.substr(first, second - first), text.substr(second)}) {
        if (!piece.empty()) cut.push_back(piece);
      }
      REQUIRE(read_all(cut) == expected);
    }
  }
  lines bytes;
  for (const char byte : text) bytes.emplace_back(1, byte);
  CHECK(read_all(bytes) == expected);
}

TEST_CASE("line_reader: what follows the last newline is a line, too, and said to have no newline") {
  simulation world;
  run(world.how(), []() -> task<> {
    pieces stream(lines{"whole\n", "cut ", "off"});
    line_reader reader(stream);
    const std::string first(*co_await reader.next());
    CHECK(first == "whole");
    CHECK(reader.terminated());
    const std::string last(*co_await reader.next());
    CHECK(last == "cut off");
    CHECK_FALSE(reader.terminated());
    const auto after = co_await reader.next();
    CHECK_FALSE(after.has_value());
  });
}

TEST_CASE("line_reader: of a stream without bytes there are no lines") {
  CHECK(read_all({}) == lines{});
  CHECK(read_all({"\n"}) == lines{""});
}

TEST_CASE("line_reader: every byte but the newline is given as it is") {
  std::string odd;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte != '\n') odd += static_cast<char>(byte);
  }
  CHECK(read_all({odd + "\n" + odd}) == lines{odd, odd});
}

TEST_CASE("line_reader: a line may be as long as the limit, not counting its newline, and no longer") {
  for (const std::size_t limit : {0u, 1u, 2u, 64u, 4094u, 4095u, 4096u, 4097u, 8192u, 100'000u}) {
    INFO("limit " << limit);
    const std::string longest(limit, 'x');
    CHECK(read_all({longest + "\n", "y\n"}, limit).front() == longest);
    CHECK(read_all({longest + "x\n"}, limit) == lines{"<too long>"});
    if (limit > 0) {
      CHECK(read_all({longest}, limit) == lines{longest});
      CHECK(read_all({longest + "x\n" + "y\n"}, limit) == lines{"<too long>", "y"});
    }
    CHECK(read_all({longest + "x"}, limit) == lines{"<too long>"});
  }
}

TEST_CASE("line_reader: a line that is too long is told as soon as the limit is passed, without its end") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [client, server] = world.connection();
    co_await client.write_all(std::string(65, 'x'));
    line_reader reader(server, 64);
    const auto error = co_await kit::thrown_by<line_too_long>([&] { return with_timeout(1s, reader.next()); });
    REQUIRE(error.has_value());
    CHECK(std::string(error->what()) == "a line is longer than 64 bytes");
  });
}

TEST_CASE("line_reader: after a line that is too long next() goes on behind it, however long it is") {
  const std::string endless(300'000, 'x');
  CHECK(read_all({"a\n" + endless, endless, endless + "\nb\n"}, 64) == lines{"a", "<too long>", "b"});
  CHECK(read_all({endless + "\n" + endless + "\nb\n"}, 64) == lines{"<too long>", "<too long>", "b"});
  CHECK(read_all({endless}, 64) == lines{"<too long>"});
}

TEST_CASE("line_reader: skip_line drops what is too long, and says when that is more than a limit") {
  simulation world;
  run(world.how(), []() -> task<> {
    for (const std::size_t size : {100u, 999u, 1000u, 1001u, 50'000u}) {
      pieces stream(lines{std::string(size, 'x'), "\nnext\n"});
      line_reader reader(stream, 10);
      co_await expect_too_long(reader);
      const bool within = co_await reader.skip_line(1000);
      CHECK(within == (size <= 1000));
      const auto next = co_await reader.next();
      REQUIRE(next.has_value());
      CHECK(std::string(*next) == "next");
    }
  });
}

TEST_CASE("line_reader: skip_line without a line to skip does nothing, and reads nothing") {
  simulation world;
  run(world.how(), []() -> task<> {
    pieces stream(lines{"a\nb\n"});
    line_reader reader(stream);
    const bool before = co_await reader.skip_line();
    CHECK(before);
    CHECK(stream.reads() == 0);
    const std::string first(*co_await reader.next());
    const bool between = co_await reader.skip_line(0);
    CHECK(between);
    const std::string second(*co_await reader.next());
    CHECK(first + second == "ab");
  });
}

TEST_CASE("line_reader: memory is that of the longest line, not of what a client sends") {
  simulation world;
  run(world.how(), []() -> task<> {
    class endless {
     public:
      task<std::size_t> read_some(std::span<std::byte> to) {
        largest = std::max(largest, to.size());
        if (total > 4'000'000) co_return 0;
        std::fill(to.begin(), to.end(), std::byte('x'));
        total += to.size();
        co_return to.size();
      }
      std::size_t largest = 0;
      std::size_t total = 0;
    };
    endless stream;
    line_reader reader(stream, 64);
    const lines all = co_await lines_of(reader);
    CHECK(all == lines{"<too long>"});
    CHECK(stream.total > 4'000'000);
    CHECK(stream.largest <= 4096);
  });
}

TEST_CASE("line_reader: lines that are there are given without reading, and has_line knows") {
  simulation world;
  run(world.how(), []() -> task<> {
    pieces stream(lines{"a\nb\nc"});
    line_reader reader(stream);
    CHECK_FALSE(reader.has_line());
    const std::string a(*co_await reader.next());
    CHECK(stream.reads() == 1);
    CHECK(reader.has_line());
    const std::string b(*co_await reader.next());
    CHECK(stream.reads() == 1);
    CHECK_FALSE(reader.has_line());  // the last one may still grow
    const std::string c(*co_await reader.next());
    CHECK(a + b + c == "abc");
    CHECK_FALSE(reader.has_line());
  });
}

TEST_CASE("line_reader: has_line is true of a line that is too long, and false while it is skipped") {
  simulation world;
  run(world.how(), []() -> task<> {
    pieces stream(lines{"a\n" + std::string(20, 'x'), "\nb\n"});
    line_reader reader(stream, 10);
    co_await reader.next();
    CHECK(reader.has_line());
    co_await expect_too_long(reader);
    CHECK_FALSE(reader.has_line());
    const std::string b(*co_await reader.next());
    CHECK(b == "b");
  });
}

TEST_CASE("line_reader: wait comes back with the first byte of a line, or with the end") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [client, server] = world.connection();
    line_reader reader(server);
    const bool silent = (co_await move_on_after(1s, reader.wait())).has_value();
    CHECK_FALSE(silent);
    co_await client.write_all("x");
    const bool something = co_await reader.wait();
    CHECK(something);
    CHECK_FALSE(reader.has_line());
    const bool still = co_await reader.wait();
    CHECK(still);
    co_await client.write_all("y\n");
    const std::string line(*co_await reader.next());
    CHECK(line == "xy");
    co_await client.shutdown_send();
    const bool at_end = co_await reader.wait();
    CHECK_FALSE(at_end);
  });
}

TEST_CASE("line_reader: what the stream throws comes out, and what was read before it is not lost") {
  simulation world;
  run(world.how(), []() -> task<> {
    class broken_once {
     public:
      task<std::size_t> read_some(std::span<std::byte> to) {
        const char* text[] = {"ab", nullptr, "c\n"};
        if (at == 3) co_return 0;
        const char* now = text[at++];
        if (now == nullptr) throw os_error("receive fd", "7", ECONNRESET);
        std::memcpy(to.data(), now, std::strlen(now));
        co_return std::strlen(now);
      }
      int at = 0;
    };
    broken_once stream;
    line_reader reader(stream);
    bool failed = false;
    try {
      co_await reader.next();
    } catch (const os_error& e) {
      failed = e.code().value() == ECONNRESET;
    }
    CHECK(failed);
    const std::string line(*co_await reader.next());
    CHECK(line == "abc");
  });
}

TEST_CASE("line_reader: cancelled in the middle of a line it loses nothing, whatever the moment") {
  kit::despite_faults([](simulation& world) -> task<> {
    const std::string text = "first\nsecond line\n\nthe last one";
    auto [client, server] = world.connection();
    lines got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (const char byte : text) {
          co_await client.write_all(std::string_view(&byte, 1));
          co_await sleep_for(1ms);
        }
        co_await client.shutdown_send();
      });
      line_reader reader(server);
      int cancelled_reads = 0;
      for (bool at_end = false; !at_end;) {
        const auto result = co_await move_on_after(700us, reader.next());
        if (!result) {
          ++cancelled_reads;
          REQUIRE(cancelled_reads < 10'000);
        } else if (*result) {
          got.emplace_back(**result);
        } else {
          at_end = true;
        }
      }
      CHECK(cancelled_reads > 0);
    });
    CHECK(got == lines{"first", "second line", "", "the last one"});
  });
}

TEST_CASE("line_reader: cancelled while it skips a long line it goes on skipping, and loses no other") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [client, server] = world.connection(64);
    lines got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (int i = 0; i < 50; ++i) {
          co_await client.write_all(std::string(50, 'x'));
          co_await sleep_for(1ms);
        }
        co_await client.write_all("\nafter\n");
        co_await client.shutdown_send();
      });
      line_reader reader(server, 10);
      for (bool at_end = false; !at_end;) {
        bool too_long = false;
        try {
          const auto result = co_await move_on_after(300us, reader.next());
          if (result && *result) got.emplace_back(**result);
          at_end = result && !*result;
        } catch (const line_too_long&) {
          too_long = true;
        }
        if (too_long) got.emplace_back("<too long>");
      }
    });
    CHECK(got == lines{"<too long>", "after"});
  });
}

TEST_CASE("line_reader: texts, cuts and limits at random give what a simple cutter gives") {
  kit::for_each_seed(300, [](std::uint64_t seed) {
    kit::random draw(seed);
    std::string text;
    const std::size_t size = draw.below(20'000);
    const std::uint64_t density = 1 + draw.below(200);
    while (text.size() < size) text += draw.one_in(density) ? '\n' : static_cast<char>('a' + draw.below(26));
    const std::size_t limit = draw.one_in(3) ? draw.below(10'000) : draw.below(300);
    INFO("limit " << limit << ", size " << size << ", a newline in " << density);
    REQUIRE(read_all(cut_at_random(text, draw), limit) == expected_lines(text, limit));
  });
}

TEST_CASE("line_reader: a long line takes few reads, whatever the limit is") {
  for (const std::size_t limit : {std::size_t{1} << 30, static_cast<std::size_t>(-1), static_cast<std::size_t>(-2)}) {
    simulation world;
    kit::run_to_the_end(world.how(), [limit]() -> task<> {
      const std::string line(300'000, 'x');
      pieces source({line + "\n"});
      line_reader reader(source, limit);
      const auto first = co_await reader.next();
      REQUIRE(first.has_value());
      CHECK(*first == line);
      CHECK(source.reads() < 20);
    });
  }
}
