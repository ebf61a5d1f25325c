// Example: computes for all clients at once, in code that knows only std::istream and std::ostream: istream_lines
// [PORT] "6 * 7" is answered with "42". Nothing below answer_lines() was written for a loop, and yet it all runs on
// one.
#include "fiber_streambuf.hpp"

#include <ringlet/ringlet.hpp>

#include <cstdlib>
#include <istream>
#include <ostream>
#include <sstream>
#include <string>

#include <fmt/core.h>

using namespace ringlet;

std::string answer_to(const std::string& line) {
  std::istringstream in(line);
  std::ostringstream out;
  double a = 0, b = 0;
  char op = 0;
  const bool understood = (in >> a >> op >> b) && (in >> std::ws).eof();
  if (!understood) return "ERR not NUMBER + - * or / NUMBER";
  switch (op) {
    case '+': out << a + b; break;
    case '-': out << a - b; break;
    case '*': out << a * b; break;
    case '/': b != 0 ? out << a / b : out << "ERR division by zero"; break;
    default: out << "ERR no operator " << op;
  }
  return out.str();
}

void answer_lines(std::istream& in, std::ostream& out) {
  for (std::string line; std::getline(in, line);) out << answer_to(line) << '\n';
  out.flush();
}

/// A tcp_stream whose operations are plain calls, of fibers.
struct plain_stream {
  tcp_stream& client;

  std::size_t read_some(std::span<std::byte> to) const { return fiber::await(client.read_some(to)); }
  void write_all(std::span<const std::byte> from) const { fiber::await(client.write_all(from)); }
};

void session(tcp_stream client) {
  plain_stream plain{client};
  fiber_streambuf buffer(plain);
  std::istream in(&buffer);
  std::ostream out(&buffer);
  // Why: else they swallow what is thrown below them, and a fiber that swallows `cancelled` cannot be ended.
  in.exceptions(std::ios::badbit);
  out.exceptions(std::ios::badbit);
  answer_lines(in, out);
}

task<> serve_lines(std::uint16_t port) {
  tcp_listener listener = tcp_listener::bind(endpoint("localhost", port));
  fmt::print("listening on {}\n", listener.local().to_string());
  std::fflush(stdout);
  co_await serve(std::move(listener), [](tcp_stream client) { return in_fiber(session, std::move(client)); });
}

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7007);
  try {
    run(options().handle_signals(), serve_lines, port);
  } catch (const std::exception& e) {
    fmt::print(stderr, "istream_lines: {}\n", e.what());
    return 1;
  }
}
