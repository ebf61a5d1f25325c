// Bench: the echo server on ringlet, in each of the ways that a user would write it: ringlet_echo STYLE
#include "descriptors.hpp"
#include "ending.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <memory>
#include <string_view>

#include <fmt/core.h>

using namespace ringlet;

namespace {

task<> echo_read_some(tcp_stream client) {
  std::array<std::byte, 16 * 1024> buffer;
  while (const std::size_t got = co_await client.read_some(buffer)) {
    co_await client.write_all(std::span(buffer).first(got));
  }
  bench::session_ended();
}

// A template, so that it need not compile where a stream has no receive().
template <class Stream>
task<> echo_receive(Stream client) {
  while (auto lease = co_await client.receive()) co_await client.write_all(lease);
  bench::session_ended();
}

template <class Handler>
task<> serve_on_loopback(Handler handler) {
  tcp_listener listener = tcp_listener::bind(endpoint("127.0.0.1", 0));
  fmt::print("listening on {}\n", listener.local().to_string());
  std::fflush(stdout);
  co_await serve(std::move(listener), handler, serve_options().max_connections(20'000));
}

template <class Stream>
bool run_receive() {
  if constexpr (requires(Stream s) { s.receive(); }) {
    run(options().handle_signals(), serve_on_loopback<task<> (*)(Stream)>, echo_receive<Stream>);
    return true;
  } else {
    fmt::print(stderr, "ringlet_echo: this ringlet has no receive()\n");
    return false;
  }
}

bool serve_in(std::string_view style) {
  if (style == "read_some") {
    run(options().handle_signals(), serve_on_loopback<task<> (*)(tcp_stream)>, echo_read_some);
    return true;
  }
  return style == "receive" && run_receive<tcp_stream>();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    bench::allow_many_descriptors();
    if (argc == 2 && serve_in(argv[1])) return 0;
    fmt::print(stderr, "ringlet_echo read_some|receive\n");
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ringlet_echo: {}\n", e.what());
    return 1;
  }
}
