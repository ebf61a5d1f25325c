// Example: the fib server's command line.
#include "fib_options.hpp"

#include "log.hpp"

#include <charconv>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace {

constexpr unsigned largest_n = 93;  // fib(93) is the last one that 64 bits can hold

/// One option: how it is written, what it means, and what sets it. errors of the setter: std::invalid_argument.
struct option_row {
  const char* name;
  const char* argument;
  std::string meaning;
  std::function<void(std::string_view)> set;
};

template <class Number>
Number parse_number(std::string_view text, Number least, Number most) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool parsed = error == std::errc() && end == text.data() + text.size();
  const bool allowed = value >= least && value <= most;  // never true of "nan"
  if (!parsed || !allowed) {
    throw std::invalid_argument(fmt::format("\"{}\" is not a number from {} to {}", text, least, most));
  }
  return value;
}

template <class Number>
std::function<void(std::string_view)> number(Number& to, Number least, Number most) {
  return [&to, least, most](std::string_view text) { to = parse_number(text, least, most); };
}

std::function<void(std::string_view)> seconds(ringlet::duration& to) {
  return [&to](std::string_view text) {
    const double value = parse_number(text, 0.001, 1e6);
    to = ringlet::duration(std::llround(value * 1e9));
  };
}

std::string in_seconds(ringlet::duration length) {
  return fmt::format("{:g}", std::chrono::duration<double>(length).count());
}

std::vector<option_row> rows(fib_options& o) {
  constexpr std::size_t many = 1'000'000'000;
  return {
      {"--host", "NAME", fmt::format("listen on every address of this host (default {})", o.host),
       [&o](std::string_view text) { o.host = text; }},
      {"--port", "N", fmt::format("listen on this port; 0 takes a free one (default {})", o.port),
       number<std::uint16_t>(o.port, 0, 65535)},
      {"--threads", "N", fmt::format("threads that serve connections, each with a loop (default {})", o.threads),
       number(o.threads, 1, 1024)},
      {"--max-n", "N", fmt::format("the largest n that is answered, at most {} (default {})", largest_n, o.max_n),
       number(o.max_n, 0u, largest_n)},
      {"--workers", "N", "threads that compute (default: one a processor)", number<std::size_t>(o.workers, 1, 1024)},
      {"--queue", "N", "computations that wait in the pool (default: 4 a worker)",
       number(o.queue, std::size_t{1}, many)},
      {"--max-connections", "N", "connections served at a time (default: 10000, or what the descriptors allow)",
       number(o.max_connections, std::size_t{1}, many)},
      {"--max-line", "BYTES", fmt::format("longest line (default {})", o.max_line),
       number(o.max_line, std::size_t{1}, many)},
      {"--max-skip", "BYTES",
       fmt::format("the longest line that is passed over; a longer one ends the connection (default {})", o.max_skip),
       number(o.max_skip, std::size_t{0}, many)},
      {"--max-output", "BYTES", fmt::format("answers that wait for a client to take them (default {})", o.max_output),
       number(o.max_output, std::size_t{1}, many)},
      {"--max-pending", "N", fmt::format("requests answered before their answers are sent (default {})", o.max_pending),
       number(o.max_pending, 1u, 1'000'000u)},
      {"--idle-timeout", "SECONDS",
       fmt::format("close a connection that asks nothing for so long (default {})", in_seconds(o.idle_timeout)),
       seconds(o.idle_timeout)},
      {"--line-timeout", "SECONDS",
       fmt::format("from the first byte of a line to its end (default {})", in_seconds(o.line_timeout)),
       seconds(o.line_timeout)},
      {"--write-timeout", "SECONDS",
       fmt::format("cut off a client that takes nothing for so long (default {})", in_seconds(o.write_timeout)),
       seconds(o.write_timeout)},
      {"--drain-timeout", "SECONDS",
       fmt::format("time for started requests when the server stops (default {})", in_seconds(o.drain_timeout)),
       seconds(o.drain_timeout)},
  };
}

void print_help(const std::vector<option_row>& options) {
  fmt::print(
      "Usage: fib_server [OPTION VALUE]...\n"
      "Answers every line with a number n by the n-th Fibonacci number. Try: nc localhost 5566\n\n");
  for (const option_row& row : options) {
    fmt::print("  {:<26} {}\n", fmt::format("{} {}", row.name, row.argument), row.meaning);
  }
  fmt::print("  {:<26} {}\n", "--help", "this text");
}

const option_row& find(const std::vector<option_row>& options, std::string_view name) {
  for (const option_row& row : options) {
    if (name == row.name) return row;
  }
  throw std::invalid_argument("there is no such option");
}

// Both "--port 1" and "--port=1".
int set_one(const std::vector<option_row>& options, int argc, char** argv, int at) {
  const std::string_view argument = argv[at];
  const std::size_t equals = argument.find('=');
  const option_row& row = find(options, argument.substr(0, equals));
  if (equals != std::string_view::npos) {
    row.set(argument.substr(equals + 1));
    return at + 1;
  }
  if (at + 1 == argc) throw std::invalid_argument("its value is missing");
  row.set(argv[at + 1]);
  return at + 2;
}

}  // namespace

parsed_options parse_fib_options(int argc, char** argv) {
  parsed_options parsed;
  const std::vector<option_row> options = rows(parsed.options);
  for (int at = 1; at < argc;) {
    if (std::string_view(argv[at]) == "--help") {
      print_help(options);
      parsed.exit_code = 0;
      return parsed;
    }
    try {
      at = set_one(options, argc, argv, at);
    } catch (const std::invalid_argument& e) {
      log_line(fmt::format("{}: {}; --help tells what there is", argv[at], e.what()));
      parsed.exit_code = 2;
      return parsed;
    }
  }
  return parsed;
}
