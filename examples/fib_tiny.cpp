// Example: the fib server of the README, without limits; fib_server.cpp is the one with them.
#include <ringlet/ringlet.hpp>

#include <charconv>
#include <string_view>

#include <fmt/format.h>

using namespace ringlet;

std::uint64_t fib(unsigned n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

task<> session(tcp_stream client) {
  line_reader lines(client);
  while (auto line = co_await lines.next()) {
    unsigned n = 0;
    std::from_chars(line->data(), line->data() + line->size(), n);
    const std::uint64_t answer = co_await offload(fib, n);
    co_await client.write_all(fmt::format("{}\n", answer));
  }
}

task<> fib_server(endpoint where) {
  co_await serve(tcp_listener::bind(where), session);
}

int main() {
  run(options().handle_signals(), fib_server, endpoint("localhost", 5566));
}
