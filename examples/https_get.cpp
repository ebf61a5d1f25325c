// Example: prints a page: https_get [--ca FILE] HOST [PORT] [PATH]
// In a fiber HTTP is what it looks like: lines of a std::istream. Below that are OpenSSL, and the loop.
#include "fiber_streambuf.hpp"
#include "tls_stream.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <istream>
#include <limits>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/core.h>

using namespace ringlet;
using namespace std::chrono_literals;

struct page {
  std::string host;
  std::uint16_t port = 443;
  std::string path = "/";
};

struct response_head {
  std::string status;               // "200 OK"
  std::optional<std::size_t> size;  // null: the body ends with the connection, or is chunked
  bool chunked = false;
};

std::string read_line(std::istream& in) {
  std::string line;
  if (!std::getline(in, line)) throw std::runtime_error("the answer ends too early");
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

template <class Number>
Number number_in(const std::string& text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  const bool followed = end != text.data() + text.size() && *end != ';';  // what may follow the size of a chunk
  if (error != std::errc() || followed) throw std::runtime_error(fmt::format("\"{}\" is no number here", text));
  return number;
}

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void read_field(const std::string& line, response_head& head) {
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::size_t begin = line.find_first_not_of(": \t", colon);
  const std::string name = in_lower_case(line.substr(0, colon));
  const std::string value = begin == std::string::npos ? "" : line.substr(begin);
  if (name == "content-length") head.size = number_in<std::size_t>(value);
  if (name == "transfer-encoding") head.chunked = in_lower_case(value) == "chunked";
}

response_head read_head(std::istream& in) {
  const std::string first = read_line(in);
  const std::size_t blank = first.find(' ');
  if (!first.starts_with("HTTP/1.") || blank == std::string::npos) throw std::runtime_error("this is no HTTP/1.1");
  response_head head{first.substr(blank + 1), {}, false};
  for (std::string line; !(line = read_line(in)).empty();) read_field(line, head);
  return head;
}

/// Fewer than `most` bytes are an error, unless nobody knows how many there are.
void print_bytes(std::istream& in, std::size_t most, bool may_end) {
  std::vector<char> buffer(16 * 1024);
  while (most > 0 && in) {
    in.read(buffer.data(), static_cast<std::streamsize>(std::min(buffer.size(), most)));
    const auto count = static_cast<std::size_t>(in.gcount());
    if (std::fwrite(buffer.data(), 1, count, stdout) != count) throw std::runtime_error("cannot write the page");
    most -= count;
  }
  if (most > 0 && !may_end) throw std::runtime_error("the answer ends too early");
}

void print_chunks(std::istream& in) {
  while (const std::size_t size = number_in<std::size_t>(read_line(in), 16)) {
    print_bytes(in, size, false);
    read_line(in);
  }
}

void print_body(std::istream& in, const response_head& head) {
  if (head.chunked) return print_chunks(in);
  if (head.size) return print_bytes(in, *head.size, false);
  print_bytes(in, std::numeric_limits<std::size_t>::max(), true);
}

std::string host_and_port(const page& wanted) {
  const bool is_ipv6 = wanted.host.find(':') != std::string::npos;
  const std::string host = is_ipv6 ? "[" + wanted.host + "]" : wanted.host;
  return wanted.port == 443 ? host : fmt::format("{}:{}", host, wanted.port);
}

void get(tls_stream& server, const page& wanted) {
  server.connect(wanted.host);
  fiber_streambuf buffer(server);
  std::istream in(&buffer);
  std::ostream out(&buffer);
  // Why: else they swallow what is thrown below them: errors, and `cancelled`.
  in.exceptions(std::ios::badbit);
  out.exceptions(std::ios::badbit);
  out << "GET " << wanted.path << " HTTP/1.1\r\nHost: " << host_and_port(wanted) << "\r\nConnection: close\r\n\r\n";
  const response_head head = read_head(in);
  print_body(in, head);
  if (!head.status.starts_with("2")) throw std::runtime_error("the server says " + head.status);
  server.shutdown_send();
  if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write the page");
}

task<> https_get(page wanted, std::string authorities) {
  const tls_context context = tls_client_context(authorities);
  tls_stream server(co_await with_timeout(30s, tcp_stream::connect(wanted.host, wanted.port)), context);
  co_await in_fiber(get, std::ref(server), std::cref(wanted));
}

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::string authorities;
  if (arguments.size() >= 2 && arguments[0] == "--ca") {
    authorities = arguments[1];
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  if (arguments.empty() || arguments.size() > 3) {
    fmt::print(stderr, "usage: https_get [--ca FILE] HOST [PORT] [PATH]\n");
    return 2;
  }
  try {
    page wanted{arguments[0]};
    if (arguments.size() > 1) wanted.port = number_in<std::uint16_t>(arguments[1]);
    if (arguments.size() > 2) wanted.path = arguments[2];
    run(https_get, wanted, authorities);
  } catch (const std::exception& e) {
    fmt::print(stderr, "https_get: {}\n", e.what());
    return 1;
  }
}
