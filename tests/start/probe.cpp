// Tests of the start and the end of a process: one that does as it is told by its first argument.
// Exit status: 0 it has worked, 3 the start failed (why is on standard error), 4 something else failed.
#include "kit/forbid.hpp"

#include <ringlet/ringlet.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

void say(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

// --- What the loop does

task<> do_nothing() {
  co_return;
}

/// A bit of everything that a loop does: time, bytes both ways, connections.
task<> work() {
  tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
  tcp_stream client = co_await tcp_stream::connect(listener.local());
  tcp_stream server = co_await listener.accept();
  const std::string sent(1 << 20, 'x');
  std::string got(sent.size(), ' ');
  co_await with_nursery([&](nursery& n) -> task<> {
    n.spawn([&]() -> task<> { co_await client.write_all(sent); });
    n.spawn([&]() -> task<> { co_await server.read_exactly(std::as_writable_bytes(std::span(got))); });
    n.spawn([]() -> task<> {
      for (int i = 0; i < 10; ++i) co_await sleep_for(1ms);
    });
    co_return;
  });
  if (got != sent) throw std::runtime_error("bytes were lost");
  bool timed_out = false;
  std::byte nothing_comes[1];
  const std::optional<std::size_t> read = co_await move_on_after(5ms, client.read_some(nothing_comes));
  timed_out = !read.has_value();
  if (!timed_out) throw std::runtime_error("a read was not cancelled");
}

task<> use_threads() {
  const int result = co_await offload([] { return 1; });
  if (result != 1) throw std::runtime_error("a wrong result");
}

/// Tells the numbers and names of descriptors, by a file: what is closed cannot be printed to.
task<> list_descriptors(std::string file) {
  tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
  tcp_stream client = co_await tcp_stream::connect(listener.local());
  tcp_stream server = co_await listener.accept();
  std::puts("to nobody");
  std::fflush(stdout);
  std::fputs("to nobody\n", stderr);
  std::byte nothing_comes[64];
  const std::optional<std::size_t> read = co_await move_on_after(10ms, server.read_some(nothing_comes));
  if (read) throw std::runtime_error("a connection got what was printed");
  std::FILE* list = std::fopen(file.c_str(), "we");
  for (int fd = 0; fd < 64; ++fd) {
    char name[256];
    const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name);
    if (size > 0) std::fprintf(list, "%d %.*s\n", fd, static_cast<int>(size), name);
  }
  std::fclose(list);
}

/// Waits to be stopped, and then takes its time.
task<> stop_slowly(bool slowly) {
  say("ready");
  const auto clean_up = [slowly]() -> task<> {
    say("stopping");
    if (slowly) co_await sleep_for(60s);
  };
  co_await finally(sleep_for(60s), clean_up);
}

/// Never lets the loop see that it shall stop.
task<> hog() {
  say("ready");
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < end) {
  }
  co_return;
}

task<> write_to_closed_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw os_error("pipe", "", errno);
  ::close(ends[0]);
  const unique_fd end(ends[1]);
  const std::byte some[1] = {};
  co_await write_some(end.get(), some);
}

void act(int count, char** arguments) {
  const std::string mode = arguments[1];
  const auto number = [&](int at) { return at < count ? std::atoi(arguments[at]) : 0; };
  if (mode == "nothing") return run(do_nothing);
  if (mode == "entries") return run(options().entries(static_cast<unsigned>(number(2))), do_nothing);
  if (mode == "work") return run(work);
  if (mode == "threads") return run(use_threads);
  if (mode == "descriptors") return run(list_descriptors, std::string(arguments[2]));
  if (mode == "stop") return run(options().handle_signals(), stop_slowly, false);
  if (mode == "stop-slowly") return run(options().handle_signals(), stop_slowly, true);
  if (mode == "hog") return run(options().handle_signals(), hog);
  if (mode == "pipe") return run(write_to_closed_pipe);
  if (mode == "pipe-kept") return run(options().keep_sigpipe(), write_to_closed_pipe);
  if (mode == "forbidden") {
    kit::forbid(static_cast<unsigned>(number(2)), number(3));
    return run(do_nothing);
  }
  if (mode == "after-run") {
    run(options().handle_signals(), do_nothing);
    say("ready");
    std::this_thread::sleep_for(60s);
    return;
  }
  throw std::runtime_error("what is " + mode + "?");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    act(count, arguments);
    return 0;
  } catch (const startup_error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 3;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 4;
  }
}
