// Example: the echo server, with TLS: tls_echo_server --cert FILE --key FILE [--port N] [--tick]
// A session is a coroutine: it puts limits of time on fibers, in which OpenSSL reads and writes, unaware of any loop.
// To make a certificate:
//   openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost
//     -keyout key.pem -out cert.pem
#include "tls_stream.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include <fmt/core.h>

using namespace ringlet;
using namespace std::chrono_literals;

struct service {
  tls_context context;
  bool stopping = false;
};

void echo(tls_stream& client, const service& shared) {
  try {
    std::array<std::byte, 16 * 1024> buffer;  // as much as a TLS record can hold
    while (const std::size_t count = client.read_some(buffer)) client.write_all(std::span(buffer).first(count));
  } catch (const tls_cut_off&) {
    if (!shared.stopping) throw;  // else it was this end that did it: see serve()
  }
  client.shutdown_send();
}

task<> session(tcp_stream connected, const service& shared) {
  tls_stream client(std::move(connected), shared.context);
  const auto accept = [&] { client.accept(); };
  co_await with_timeout(10s, in_fiber(accept));
  co_await in_fiber(echo, std::ref(client), std::cref(shared));
}

void print_failure(std::exception_ptr error) {
  try {
    std::rethrow_exception(std::move(error));
  } catch (const std::exception& e) {
    fmt::print(stderr, "a session failed: {}\n", e.what());
  }
}

/// How much later than it should it gets its turn, at worst.
task<> measure_lateness(duration& worst) {
  while (true) {
    const time_point due = this_scheduler().now() + 10ms;
    co_await sleep_until(due);
    worst = std::max(worst, duration(std::chrono::steady_clock::now() - due));
  }
}

task<> serve_tls(std::uint16_t port, service& shared) {
  tcp_listener listener = tcp_listener::bind(endpoint("localhost", port));
  fmt::print("listening on {}\n", listener.local().to_string());
  std::fflush(stdout);
  const auto handler = [&](tcp_stream client) { return session(std::move(client), shared); };
  serve_options how;
  how.on_drain([&] { shared.stopping = true; });
  how.on_error(print_failure);
  co_await serve(std::move(listener), handler, how);
}

task<> serve_and_measure(std::uint16_t port, service& shared, duration& worst) {
  co_await with_nursery([&](nursery& both) -> task<> {
    both.spawn([&] { return measure_lateness(worst); });
    co_await serve_tls(port, shared);
  });
}

struct command_line {
  std::string certificates, key;
  std::uint16_t port = 7443;
  bool tick = false;
};

std::optional<command_line> parse(int argc, char** argv) {
  command_line parsed;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--tick") {
      parsed.tick = true;
      continue;
    }
    if (option == "--cert") {
      parsed.certificates = value;
    } else if (option == "--key") {
      parsed.key = value;
    } else if (option == "--port") {
      parsed.port = static_cast<std::uint16_t>(std::atoi(value));
    } else {
      return std::nullopt;
    }
    ++i;
  }
  if (parsed.certificates.empty() || parsed.key.empty()) return std::nullopt;
  return parsed;
}

int main(int argc, char** argv) {
  const auto how = parse(argc, argv);
  if (!how) {
    fmt::print(stderr, "usage: tls_echo_server --cert FILE --key FILE [--port N] [--tick]\n");
    return 2;
  }
  try {
    service shared{tls_server_context(how->certificates, how->key)};
    duration worst{0};
    if (how->tick) {
      run(options().handle_signals(), serve_and_measure, how->port, std::ref(shared), std::ref(worst));
      fmt::print("the worst tick was {} ms late\n", worst / 1ms);
    } else {
      run(options().handle_signals(), serve_tls, how->port, std::ref(shared));
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "tls_echo_server: {}\n", e.what());
    return 1;
  }
}
