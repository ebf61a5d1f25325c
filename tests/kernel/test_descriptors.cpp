// Tests on the kernel: reading, writing and polling any descriptor: pipes, event descriptors, sockets, files.
#include "kernel.hpp"

#include <array>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kernel;

namespace {

task<std::string> read_text(int fd) {
  std::array<std::byte, 256> buffer;
  const std::size_t got = co_await read_some(fd, buffer);
  co_return std::string(reinterpret_cast<const char*>(buffer.data()), got);
}

}  // namespace

TEST_CASE("pipe: what is written is read, and the end is the end, blocking or not") {
  for (const int flags : {0, O_NONBLOCK}) {
    in_time([&]() -> task<> {
      pipe_ends p = plain_pipe(flags);
      std::string first, last = "not read";
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          first = co_await read_text(p.read.get());
          last = co_await read_text(p.read.get());
        });
        co_await yield_now();
        const std::size_t written = co_await write_some(p.write.get(), bytes_of("through the pipe"));
        CHECK(written == 16);
        co_await sleep_for(1ms);
        p.write.reset();
      });
      CHECK(first == "through the pipe");
      CHECK(last.empty());
    });
  }
}

TEST_CASE("pipe: a write to a full one waits for room, blocking or not") {
  for (const int flags : {0, O_NONBLOCK}) {
    in_time([&]() -> task<> {
      const pipe_ends p = plain_pipe(flags);
      const std::size_t capacity = fill(p.write.get());
      const auto refused = co_await move_on_after(10ms, write_some(p.write.get(), bytes_of("y")));
      CHECK_FALSE(refused.has_value());
      std::size_t written = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> { written = co_await write_some(p.write.get(), bytes_of("y")); });
        co_await yield_now();
        std::vector<std::byte> all(capacity);
        for (std::size_t read = 0; read < capacity;) read += co_await read_some(p.read.get(), all);
      });
      CHECK(written == 1);
      const std::string rest = co_await read_text(p.read.get());
      CHECK(rest == "y");
    });
  }
}

TEST_CASE("pipe: a write to one that nobody reads is an error and does not end the process") {
  in_time([]() -> task<> {
    pipe_ends p = plain_pipe();
    p.read.reset();
    co_await expect_error(EPIPE, [&]() -> task<> { co_await write_some(p.write.get(), bytes_of("x")); });
  });
}

TEST_CASE("pipe: a megabyte arrives whole although a write takes only a part") {
  in_time([]() -> task<> {
    pipe_ends p = plain_pipe();
    const std::string data(1 << 20, 'p');
    std::size_t received = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        auto left = bytes_of(data);
        while (!left.empty()) left = left.subspan(co_await write_some(p.write.get(), left));
        p.write.reset();
      });
      std::vector<std::byte> to(10'000);
      while (const std::size_t got = co_await read_some(p.read.get(), to)) received += got;
    });
    CHECK(received == data.size());
  });
}

TEST_CASE("eventfd: a read waits for a count, blocking or not") {
  for (const int flags : {0, O_NONBLOCK}) {
    in_time([&]() -> task<> {
      const unique_fd counter(::eventfd(0, EFD_CLOEXEC | flags));
      std::uint64_t count = 0;
      std::size_t got = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn(
            [&]() -> task<> { got = co_await read_some(counter.get(), std::as_writable_bytes(std::span(&count, 1))); });
        co_await sleep_for(5ms);
        const std::uint64_t seven = 7;
        CHECK(::write(counter.get(), &seven, sizeof seven) == sizeof seven);
      });
      CHECK(got == sizeof count);
      CHECK(count == 7);
    });
  }
}

TEST_CASE("inotify: a read waits although the descriptor says \"not now\"") {
  char folder[] = "/tmp/ringlet-test-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  in_time([&]() -> task<> {
    const unique_fd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    REQUIRE(::inotify_add_watch(watch.get(), folder, IN_CREATE) >= 0);
    std::string seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { seen = co_await read_text(watch.get()); });
      co_await sleep_for(5ms);
      const std::string file = std::string(folder) + "/made";
      const unique_fd made(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      CHECK(::unlink(file.c_str()) == 0);
    });
    CHECK(seen.size() >= sizeof(inotify_event));
    const auto nothing_more = co_await move_on_after(10ms, read_text(watch.get()));
    CHECK_FALSE(nothing_more.has_value());
  });
  ::rmdir(folder);
}

TEST_CASE("terminal: a read waits although the descriptor says \"not now\"") {
  const unique_fd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!terminal || ::grantpt(terminal.get()) != 0 || ::unlockpt(terminal.get()) != 0) {
    return kit::skip("no terminal can be made here");
  }
  char name[64];
  REQUIRE(::ptsname_r(terminal.get(), name, sizeof name) == 0);
  const unique_fd user(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  in_time([&]() -> task<> {
    std::string seen;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { seen = co_await read_text(terminal.get()); });
      co_await sleep_for(5ms);
      CHECK(::write(user.get(), "typed", 5) == 5);
    });
    CHECK(seen == "typed");
    const auto nothing_more = co_await move_on_after(10ms, read_text(terminal.get()));
    CHECK_FALSE(nothing_more.has_value());
  });
}

TEST_CASE("file: reads and writes go on where the last one ended") {
  char path[] = "/tmp/ringlet-test-XXXXXX";
  const unique_fd file(::mkostemp(path, O_CLOEXEC));
  REQUIRE(::unlink(path) == 0);
  in_time([&]() -> task<> {
    co_await write_some(file.get(), bytes_of("one "));
    co_await write_some(file.get(), bytes_of("two"));
    ::lseek(file.get(), 0, SEEK_SET);
    std::array<std::byte, 4> part;
    const std::size_t got = co_await read_some(file.get(), part);
    CHECK(got == 4);
    const std::string rest = co_await read_text(file.get());
    CHECK(rest == "two");
    const std::string end = co_await read_text(file.get());
    CHECK(end.empty());
  });
}

TEST_CASE("readable: waits for bytes, for the end and for connections") {
  in_time([]() -> task<> {
    pipe_ends p = plain_pipe();
    const auto nothing = co_await move_on_after(5ms, readable(p.read.get()));
    CHECK_FALSE(nothing);
    CHECK(::write(p.write.get(), "x", 1) == 1);
    co_await readable(p.read.get());
    const std::string text = co_await read_text(p.read.get());
    CHECK(text == "x");
    p.write.reset();
    co_await readable(p.read.get());

    const plain_listener listener;
    const auto no_client = co_await move_on_after(5ms, readable(listener.fd()));
    CHECK_FALSE(no_client);
    const unique_fd client = plain_connect(listener.where());
    co_await readable(listener.fd());
  });
}

TEST_CASE("writable: waits for room, and for the reader to go") {
  in_time([]() -> task<> {
    pipe_ends p = plain_pipe();
    co_await writable(p.write.get());
    const std::size_t capacity = fill(p.write.get());
    const auto no_room = co_await move_on_after(5ms, writable(p.write.get()));
    CHECK_FALSE(no_room);
    std::vector<char> all(capacity);
    CHECK(::read(p.read.get(), all.data(), all.size()) > 0);
    co_await writable(p.write.get());
    fill(p.write.get());
    p.read.reset();
    co_await writable(p.write.get());
  });
}

TEST_CASE("poll: gives what has come, of what was asked for and what is always told") {
  in_time([]() -> task<> {
    pipe_ends p = plain_pipe();
    const int room = co_await poll(p.write.get(), POLLOUT);
    CHECK(room == POLLOUT);
    p.read.reset();
    const int broken = co_await poll(p.write.get(), 0);
    CHECK((broken & POLLERR) != 0);

    const unique_fd counter(::eventfd(1, EFD_CLOEXEC));
    const int both = co_await poll(counter.get(), POLLIN | POLLOUT);
    CHECK(both == (POLLIN | POLLOUT));
  });
}

TEST_CASE("poll: tells unasked that the peer sends nothing more, and that it has gone") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    const auto nothing = co_await move_on_after(5ms, poll(ends.server.fd(), 0));
    CHECK_FALSE(nothing.has_value());
    co_await ends.client.shutdown_send();
    const int half = co_await poll(ends.server.fd(), 0);
    CHECK((half & POLLRDHUP) != 0);
    CHECK((half & POLLHUP) == 0);
    ends.client.reset_on_close();
    co_await ends.client.close();
    co_await sleep_for(5ms);
    const int gone = co_await poll(ends.server.fd(), 0);
    CHECK((gone & POLLHUP) != 0);
    CHECK((gone & POLLERR) != 0);
  });
}

TEST_CASE("poll: any number of tasks may poll one descriptor, and all are woken") {
  in_time([]() -> task<> {
    const pipe_ends p = plain_pipe();
    int woken = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 100; ++i) {
        n.spawn([&]() -> task<> {
          co_await readable(p.read.get());
          ++woken;
        });
      }
      co_await sleep_for(5ms);
      CHECK(::write(p.write.get(), "x", 1) == 1);
    });
    CHECK(woken == 100);
  });
}

TEST_CASE("poll: a stream with a read in flight can be watched at the same time") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    bool seen = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await poll(ends.server.fd(), 0);
        seen = true;
      });
      n.spawn([&]() -> task<> { co_await expect_text(ends.server, "x"); });
      co_await sleep_for(5ms);
      co_await ends.client.write_all("x");
      co_await sleep_for(5ms);
      CHECK_FALSE(seen);
      co_await ends.client.close();
    });
    CHECK(seen);
  });
}
