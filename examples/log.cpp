// Example: prints lines without ever stopping the loop.
#include "log.hpp"

#include <algorithm>
#include <chrono>
#include <climits>
#include <csignal>
#include <mutex>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

namespace {

constexpr unsigned lines_a_second = 10;

// A pipe that polls as writable has room for PIPE_BUF bytes, and takes them in one piece.
void write_if_possible(int fd, std::string line) noexcept {
  line.resize(std::min<std::size_t>(line.size(), PIPE_BUF - 1));
  line.push_back('\n');
  pollfd ready{fd, POLLOUT, 0};
  const bool writable = ::poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0;
  // A line that cannot be written has nowhere else to go.
  if (writable) [[maybe_unused]]
    const auto written = ::write(fd, line.data(), line.size());
}

std::string escaped(std::string_view text) {
  std::string printable;
  for (const char c : text) {
    if (c >= ' ' && c <= '~') {
      printable.push_back(c);
    } else {
      printable += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return printable;
}

// Counts the lines of this second. Why: errors that clients provoke must not fill a disk.
bool within_limit() noexcept {
  using clock = std::chrono::steady_clock;
  static std::mutex counting;
  static clock::time_point second_began;
  static unsigned lines = 0;
  const std::lock_guard lock(counting);
  if (clock::now() - second_began >= std::chrono::seconds(1)) {
    second_began = clock::now();
    lines = 0;
  }
  return ++lines <= lines_a_second;
}

}  // namespace

void prepare_standard_streams() noexcept {
  std::signal(SIGPIPE, SIG_IGN);
  int fd = -1;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

void log_line(std::string_view text) noexcept {
  if (within_limit()) write_if_possible(STDERR_FILENO, "fib_server: " + escaped(text));
}

void print_line(std::string_view text) noexcept {
  write_if_possible(STDOUT_FILENO, std::string(text));
}
