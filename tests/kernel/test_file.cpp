// Tests on the kernel of file.hpp: bytes at any place, whole and in order; errors name the path; nothing is left open.
#include "folder.hpp"
#include "kernel.hpp"

#include "kit/bytes.hpp"

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace kernel;

namespace {

constexpr file_mode read_write_new = file_mode::read | file_mode::write | file_mode::create;

/// What open() throws for `path`; empty when it does not.
task<std::string> failure_to_open(std::string path, file_mode mode = file_mode::read) {
  const auto open = [&]() -> task<> { co_await file::open(path, mode); };
  const std::optional<os_error> error = co_await kit::thrown_by<os_error>(open);
  co_return error ? error->what() : "";
}

task<std::string> contents_of(std::string path) {
  const file f = co_await file::open(path);
  std::string text(f.size(), '\0');
  const std::size_t count = co_await f.read_at(0, std::as_writable_bytes(std::span(text)));
  CHECK(count == text.size());
  co_return text;
}

task<> write_file(std::string path, std::string text, file_mode mode = file_mode::write | file_mode::create) {
  file f = co_await file::open(path, mode);
  co_await f.write_at(0, text);
}

}  // namespace

TEST_CASE("file: what was written at a place is read there, and the file is as long as it has to be") {
  in_time([]() -> task<> {
    const folder here;
    file f = co_await file::open(here / "data", read_write_new);
    co_await f.write_at(0, "hello, world");
    co_await f.write_at(7, "W");
    co_await f.write_at(20, "end");
    CHECK(f.size() == 23);
    std::string text(100, '?');
    const std::size_t count = co_await f.read_at(5, std::as_writable_bytes(std::span(text)));
    CHECK(count == 18);
    CHECK(text.substr(0, count) == std::string(", World\0\0\0\0\0\0\0\0end", 18));
    CHECK(text[count] == '?');
    co_await f.sync();
    co_await f.sync_data();
  });
}

TEST_CASE("file: reading at the end or behind it, or nothing at all, gives 0 bytes") {
  in_time([]() -> task<> {
    const folder here;
    file f = co_await file::open(here / "data", read_write_new);
    co_await f.write_at(0, "four");
    std::byte to[8];
    const std::size_t at_end = co_await f.read_at(4, to);
    CHECK(at_end == 0);
    const std::size_t far_behind = co_await f.read_at(std::uint64_t{1} << 50, to);
    CHECK(far_behind == 0);
    const std::size_t nothing = co_await f.read_at(0, std::span<std::byte>());
    CHECK(nothing == 0);
    co_await f.write_at(100, std::string_view());
    CHECK(f.size() == 4);
  });
}

TEST_CASE("file: a place that is none is refused, and not taken for the descriptor's own position") {
  in_time([]() -> task<> {
    const folder here;
    file f = co_await file::open(here / "data", read_write_new);
    std::byte to[8];
    for (const std::uint64_t place : {~std::uint64_t{0}, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1}) {
      co_await expect_error(EINVAL, [&]() -> task<> { co_await f.read_at(place, to); });
      co_await expect_error(EINVAL, [&]() -> task<> { co_await f.write_at(place, "lost"); });
    }
    CHECK(f.size() == 0);
  });
}

TEST_CASE("file: many reads and writes side by side, each at its place") {
  in_time([]() -> task<> {
    constexpr std::size_t size = 70'000;
    const folder here;
    file f = co_await file::open(here / "data", read_write_new);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 20; i-- > 0;) {
        n.spawn([&f, i]() -> task<> {
          const std::string text = kit::pattern(size, i * size);
          co_await f.write_at(i * size, text);
        });
      }
      co_return;
    });
    CHECK(f.size() == 20 * size);
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 20; ++i) {
        n.spawn([&f, i, size]() -> task<> {
          std::string text(size, '\0');
          const std::size_t count = co_await f.read_at(i * size, std::as_writable_bytes(std::span(text)));
          CHECK(count == size);
          CHECK(text == kit::pattern(size, i * size));
        });
      }
      co_return;
    });
  });
}

TEST_CASE("file: more than 2 GiB are written and read by one call each, although the kernel takes less at a time") {
  constexpr std::size_t size = (std::size_t{1} << 31) + 8192;
  void* const zeros = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(zeros != MAP_FAILED);
  in_time([&]() -> task<> {
    file nowhere = co_await file::open("/dev/null", file_mode::write);
    std::size_t written = 0;
    co_await nowhere.write_at(0, std::span(static_cast<const std::byte*>(zeros), size), written);
    CHECK(written == size);
  });
  ::munmap(zeros, size);
}

TEST_CASE("file: what a mode says") {
  in_time([]() -> task<> {
    const folder here;
    const std::string path = here / "data";
    co_await write_file(path, "first line");
    co_await write_file(path, "FIRST");
    const std::string overwritten = co_await contents_of(path);
    CHECK(overwritten == "FIRST line");
    co_await write_file(path, "!", file_mode::append);
    const std::string longer = co_await contents_of(path);
    CHECK(longer == "FIRST line!");
    co_await write_file(path, "new", file_mode::write | file_mode::truncate);
    const std::string emptied = co_await contents_of(path);
    CHECK(emptied == "new");
    const std::string there = co_await failure_to_open(path, file_mode::write | file_mode::exclusive);
    CHECK(there == "open " + path + ": file exists");
    co_await write_file(here / "other", "x", file_mode::write | file_mode::exclusive);
    const std::string other = co_await contents_of(here / "other");
    CHECK(other == "x");
  });
}

TEST_CASE("file: a mode that makes no sense, or a path that none can have, is refused by the call") {
  in_time([]() -> task<> {
    CHECK_THROWS_AS(file::open("/dev/null", file_mode::create), std::invalid_argument);
    CHECK_THROWS_AS(file::open("/dev/null", file_mode::read | file_mode::truncate), std::invalid_argument);
    CHECK_THROWS_AS(file::open(std::string("/dev/null\0x", 11)), std::invalid_argument);
    co_return;
  });
}

TEST_CASE("file: a file that is made has the permissions asked for, less the umask, and children do not get it") {
  in_time([]() -> task<> {
    const folder here;
    const ::mode_t before = ::umask(022);
    const file f = co_await file::open(here / "data", file_mode::write | file_mode::create, 0660);
    ::umask(before);
    struct stat about{};
    REQUIRE(::fstat(f.fd(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0640);
    CHECK((::fcntl(f.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  });
}

TEST_CASE("file: an error of open names the path and what is wrong with it") {
  in_time([]() -> task<> {
    const folder here;
    const std::string none = co_await failure_to_open(here / "none");
    CHECK(none == "open " + (here / "none") + ": no such file or directory");
    const std::string folder_itself = co_await failure_to_open(here / "", file_mode::write);
    CHECK(folder_itself == "open " + (here / "") + ": is a directory");
    co_await write_file(here / "data", "x");
    const std::string below = co_await failure_to_open(here / "data/x");
    CHECK(below == "open " + (here / "data/x") + ": not a directory");
    const std::string empty = co_await failure_to_open("");
    CHECK(empty == "open: no such file or directory");
    const auto result = co_await as_result(file::open(here / "none"));
    CHECK(!result);
  });
}

TEST_CASE("file: a directory can be opened and not read; what is open to read is not written, nor the other way") {
  in_time([]() -> task<> {
    const folder here;
    std::byte to[8];
    const file directory = co_await file::open(here / "");
    co_await expect_error(EISDIR, [&]() -> task<> { co_await directory.read_at(0, to); });
    file writing = co_await file::open(here / "data", file_mode::write | file_mode::create);
    co_await expect_error(EBADF, [&]() -> task<> { co_await writing.read_at(0, to); });
    file reading = co_await file::open(here / "data");
    co_await expect_error(EBADF, [&]() -> task<> { co_await reading.write_at(0, "x"); });
    reading.close();
    reading.close();
    CHECK(reading.fd() == -1);
    co_await expect_error(EBADF, [&]() -> task<> { co_await reading.read_at(0, to); });
    CHECK_THROWS_AS(reading.size(), os_error);
  });
}

TEST_CASE("file: a full disk is an os_error, and nothing counts as written") {
  in_time([]() -> task<> {
    file full = co_await file::open("/dev/full", file_mode::write);
    std::size_t written = 7;
    co_await expect_error(ENOSPC, [&]() -> task<> { co_await full.write_at(0, bytes_of("x"), written); });
    CHECK(written == 0);
  });
}

TEST_CASE("file: opening a pipe that nobody writes to can be cancelled, while the loop goes on") {
  in_time([]() -> task<> {
    const folder here;
    REQUIRE(::mkfifo((here / "pipe").c_str(), 0600) == 0);
    const std::optional<file> opened = co_await move_on_after(20ms, file::open(here / "pipe"));
    CHECK(!opened);
  });
}

TEST_CASE("file: opening a named pipe waits for its other end, and other tasks run meanwhile") {
  in_time([]() -> task<> {
    const folder here;
    const std::string path = here / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    bool opened = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        file reading = co_await file::open(path);
        opened = true;
      });
      co_await sleep_for(20ms);
      CHECK(!opened);
      const file writing = co_await file::open(path, file_mode::write);
      CHECK(writing.fd() >= 0);
    });
    CHECK(opened);
  });
}

TEST_CASE("file: a task that is cancelled already opens and writes nothing") {
  in_time([]() -> task<> {
    const folder here;
    file f = co_await file::open(here / "data", read_write_new);
    cancel_scope scope;
    scope.cancel();
    co_await scope.run([&]() -> task<> { co_await file::open(here / "other", read_write_new); });
    cancel_scope second;
    second.cancel();
    co_await second.run([&]() -> task<> { co_await f.write_at(0, "x"); });
    CHECK(f.size() == 0);
    CHECK(::access((here / "other").c_str(), F_OK) != 0);
  });
}

TEST_CASE("file: opening with a time limit either gives the file or leaves nothing open") {
  in_time([]() -> task<> {
    const folder here;
    const std::set<int> before = open_descriptors();
    for (int i = 0; i < 50; ++i) {
      co_await move_on_after(std::chrono::microseconds(i), file::open(here / "data", read_write_new));
    }
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("file_reader, file_writer: a stream onto a file, and lines from it") {
  in_time([]() -> task<> {
    const folder here;
    file f = co_await file::open(here / "data", read_write_new);
    file_writer writer(f);
    for (int i = 0; i < 1000; ++i) co_await writer.write_all("line " + std::to_string(i) + "\n");
    CHECK(writer.place() == f.size());
    file_reader reader(f);
    line_reader lines(reader, 100);
    int count = 0;
    for (;;) {
      const std::optional<std::string_view> line = co_await lines.next();
      if (!line) break;
      REQUIRE(*line == "line " + std::to_string(count));
      ++count;
    }
    CHECK(count == 1000);
    CHECK(reader.place() == f.size());
    file_reader from_within(f, f.size() - 4);
    std::byte to[8];
    const std::size_t rest = co_await from_within.read_some(to);
    CHECK(rest == 4);
  });
}

TEST_CASE("file_writer: a write that fails leaves the place where it was") {
  in_time([]() -> task<> {
    file full = co_await file::open("/dev/full", file_mode::write);
    file_writer writer(full, 5);
    co_await expect_error(ENOSPC, [&]() -> task<> { co_await writer.write_all("x"); });
    CHECK(writer.place() == 5);
  });
}
