// Example: sends back what it gets, from all clients at once: echo_server [PORT]
#include <ringlet/ringlet.hpp>

#include <cstdlib>

#include <fmt/core.h>

using namespace ringlet;

task<> echo(tcp_stream client) {
  while (const chunk received = co_await client.receive()) co_await client.write_all(received);
}

task<> echo_server(std::uint16_t port) {
  tcp_listener listener = tcp_listener::bind(endpoint("localhost", port));
  fmt::print("listening on {}\n", listener.local().to_string());
  std::fflush(stdout);
  co_await serve(std::move(listener), echo);
}

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7007);
  try {
    run(options().handle_signals(), echo_server, port);
  } catch (const std::exception& e) {
    fmt::print(stderr, "echo_server: {}\n", e.what());
    return 1;
  }
}
