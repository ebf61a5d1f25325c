// Example: the fib server. Speaks a line protocol: a number n in, the n-th Fibonacci number out; docs/fib_protocol.md.
// The numbers are computed in the slowest way on purpose, on a thread pool: the loop stays free for everybody else.
#include "fib_options.hpp"
#include "fib_protocol.hpp"
#include "log.hpp"

#include <ringlet/ringlet.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

using namespace ringlet;

namespace {

// Below this, computing takes less time than the way to the pool and back.
constexpr unsigned small_n = 12;

std::uint64_t fib(unsigned n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

// As fib(), but gives up when nobody wants the answer any more. The check is made high up in the tree of calls only.
std::uint64_t stoppable_fib(const std::stop_token& stop, unsigned n) {
  if (n < 20) return fib(n);
  if (stop.stop_requested()) throw cancelled{};
  return stoppable_fib(stop, n - 1) + stoppable_fib(stop, n - 2);
}

/// What all sessions of a loop share.
struct service {
  const fib_options& limits;
  thread_pool& pool;
  bool stopping = false;
};

class session {
 public:
  session(tcp_stream client, service& shared)
      : client_(std::move(client)), shared_(shared), limits_(shared.limits), lines_(client_, limits_.max_line) {}

  // A silence that is too long ends it as timed_out.
  task<> run() {
    while (co_await with_timeout(limits_.idle_timeout, lines_.wait())) {
      const bool goes_on = co_await serve_one_line();
      if (!goes_on) break;
      if (!time_to_send()) continue;
      const bool sent = co_await flush();
      if (!sent) break;
    }
  }

 private:
  enum class input { line, too_long, too_slow, end };

  task<input> read_line(std::string_view& line) {
    try {
      const auto got = co_await with_timeout(limits_.line_timeout, lines_.next());
      if (!got) co_return input::end;
      line = *got;
      co_return input::line;
    } catch (const line_too_long&) {
      co_return input::too_long;
    } catch (const timed_out&) {
      co_return input::too_slow;
    }
  }

  // False: the connection is over.
  task<bool> serve_one_line() {
    std::string_view line;
    switch (co_await read_line(line)) {
      case input::line:
        if (cut_off_by_us()) break;
        co_return co_await answer(parse_request(line, limits_.max_n));
      case input::too_long: co_return co_await pass_over_long_line();
      case input::too_slow: reply("ERR timeout"); break;
      case input::end: break;
    }
    co_await flush();
    co_return false;
  }

  // Why: when the server stops, every stream ends wherever it is, and "1" may be the beginning of "10".
  bool cut_off_by_us() const { return shared_.stopping && !lines_.terminated(); }

  task<bool> answer(request r) {
    if (r.error != nullptr) {
      reply(fmt::format(fmt::runtime(r.error), limits_.max_n));
    } else if (r.n < small_n) {
      reply(fmt::format("{}", fib(r.n)));
    } else {
      co_return co_await compute(r.n);
    }
    co_return true;
  }

  // While a worker computes, a connection that breaks is noticed: its place in the queue goes to the next one.
  task<bool> compute(unsigned n) {
    const bool sent = co_await flush();
    if (!sent) co_return false;
    std::optional<std::uint64_t> value;
    co_await with_nursery([&](nursery& watched) -> task<> {
      watched.spawn([&] { return cancel_when_broken(watched); });
      value = co_await shared_.pool.run(stoppable_fib, n);
      watched.cancel();
    });
    if (!value) co_return false;
    reply(fmt::format("{}", *value));
    co_return true;
  }

  // Kernel: the poll also ends when the client has only sent its end of the stream, and still wants the answer.
  task<> cancel_when_broken(nursery& watched) {
    const int seen = co_await poll(client_.fd(), 0);
    if ((seen & (POLLERR | POLLHUP)) != 0) watched.cancel();
  }

  task<bool> pass_over_long_line() {
    reply("ERR line too long");
    const bool sent = co_await flush();
    if (!sent) co_return false;
    const auto skipped = co_await move_on_after(limits_.line_timeout, lines_.skip_line(limits_.max_skip));
    co_return skipped.value_or(false);
  }

  // Answers to requests that came together go out together.
  bool time_to_send() const {
    const bool enough = pending_ >= limits_.max_pending || replies_.size() >= limits_.max_output;
    return enough || !lines_.has_line();
  }

  void reply(std::string_view text) {
    replies_.append(text).push_back('\n');
    ++pending_;
  }

  // False: the client has taken nothing for too long, and is cut off.
  task<bool> flush() {
    auto left = std::as_bytes(std::span(replies_));
    while (!left.empty()) {
      const auto written = co_await move_on_after(limits_.write_timeout, client_.write_some(left));
      if (!written) {
        client_.reset_on_close();
        co_return false;
      }
      left = left.subspan(*written);
    }
    replies_.clear();
    pending_ = 0;
    co_return true;
  }

  tcp_stream client_;
  service& shared_;
  const fib_options& limits_;
  line_reader<tcp_stream> lines_;
  std::string replies_;   // answers that are not sent yet
  unsigned pending_ = 0;  // requests answered in replies_
};

// As ::1 on a machine without IPv6.
bool is_missing_here(const os_error& e) {
  const int code = e.code().value();
  return code == EADDRNOTAVAIL || code == EAFNOSUPPORT;
}

listen_options limits_of_listeners(const fib_options& how) {
  // Why: in the kernel's own, much larger buffer a slow reader's progress would show too rarely for a time limit.
  return listen_options().send_buffer(static_cast<int>(how.max_output));
}

// All get the same port. An address that this machine does not have is no error while there is another one.
std::vector<tcp_listener> bind_all(const std::vector<endpoint>& addresses, const fib_options& how) {
  const listen_options limits = limits_of_listeners(how);
  std::vector<tcp_listener> listeners;
  std::vector<os_error> missing;
  for (const endpoint& address : addresses) {
    const std::uint16_t port = listeners.empty() ? how.port : listeners.front().local().port();
    try {
      listeners.push_back(tcp_listener::bind(address.with_port(port), limits));
    } catch (const os_error& e) {
      if (!is_missing_here(e)) throw;
      missing.push_back(e);
    }
  }
  if (listeners.empty()) throw os_error(missing.front());
  for (const os_error& e : missing) log_line(fmt::format("note: {}", e.what()));
  return listeners;
}

task<std::vector<tcp_listener>> listen(const fib_options& how) {
  const std::vector<endpoint> addresses = co_await resolve(how.host, how.port);
  for (int tries_left = 10;; --tries_left) {
    try {
      co_return bind_all(addresses, how);
    } catch (const os_error& e) {
      // A port that is free on the first address need not be so on the others; another one may be.
      const bool try_another_port = how.port == 0 && e.code().value() == EADDRINUSE && tries_left > 0;
      if (!try_another_port) throw;
    }
  }
}

std::vector<endpoint> addresses_of(const std::vector<tcp_listener>& listeners) {
  std::vector<endpoint> addresses;
  for (const tcp_listener& listener : listeners) addresses.push_back(listener.local());
  return addresses;
}

void announce(const std::vector<endpoint>& addresses) {
  for (const endpoint& where : addresses) {
    if (where.is_loopback()) continue;
    log_line(fmt::format("warning: {} can be reached from other machines, without authentication or encryption",
                         where.to_string()));
  }
  for (const endpoint& where : addresses) print_line(fmt::format("listening on {}", where.to_string()));
}

// The text of what() is ours and the system's: nothing that a client has sent.
void log_failure(std::exception_ptr error) {
  try {
    std::rethrow_exception(std::move(error));
  } catch (const std::exception& e) {
    log_line(fmt::format("a session failed: {}", e.what()));
  }
}

task<> serve_clients(std::vector<tcp_listener> listeners, const fib_options& how, thread_pool& workers) {
  service shared{how, workers};
  const auto serve_client = [&](tcp_stream client) -> task<> {
    session s(std::move(client), shared);
    co_await s.run();
  };
  serve_options limits;
  limits.max_connections(how.max_connections).busy_reply("ERR busy\n").drain(how.drain_timeout);
  limits.on_drain([&] { shared.stopping = true; });
  limits.on_warning([](std::string_view text) { log_line(text); });
  limits.on_error(log_failure);
  co_await serve(std::move(listeners), serve_client, limits);
}

task<> fib_server(fib_options how) {
  std::vector<tcp_listener> listeners = co_await listen(how);
  announce(addresses_of(listeners));
  thread_pool workers(how.workers, how.queue);
  co_await serve_clients(std::move(listeners), how, workers);
}

// --- With --threads: several loops, of which each listens at the same addresses

// Where other programs do not listen, not even those that would share the port.
task<std::vector<endpoint>> choose_addresses(fib_options how) {
  const std::vector<tcp_listener> listeners = co_await listen(how);
  co_return addresses_of(listeners);
}

task<> one_of_several(fib_options how, std::vector<endpoint> addresses, thread_pool& workers,
                      std::atomic<int>& listening) {
  std::vector<tcp_listener> listeners;
  for (const endpoint& where : addresses) {
    listeners.push_back(tcp_listener::bind(where, limits_of_listeners(how).reuse_port()));
  }
  const bool last = ++listening == how.threads;
  if (last) announce(addresses);
  co_await serve_clients(std::move(listeners), how, workers);
}

void run_several(fib_options how) {
  const std::vector<endpoint> addresses = run(choose_addresses, how);
  thread_pool workers(how.workers, how.queue);
  std::atomic<int> listening{0};
  const auto threads = static_cast<std::size_t>(how.threads);
  how.max_connections = (how.max_connections + threads - 1) / threads;
  run_on_threads(options().handle_signals(), how.threads, one_of_several, how, addresses, std::ref(workers),
                 std::ref(listening));
}

}  // namespace

int main(int argc, char** argv) {
  prepare_standard_streams();
  std::signal(SIGUSR1, SIG_IGN);  // kept for later; until then it must not end the server, as is its default
  try {
    const parsed_options parsed = parse_fib_options(argc, argv);
    if (parsed.exit_code) return *parsed.exit_code;
    if (::geteuid() == 0) log_line("warning: there is no need to run this as root");
    if (parsed.options.threads > 1) {
      run_several(parsed.options);
    } else {
      run(options().handle_signals(), fib_server, parsed.options);
    }
  } catch (const std::exception& e) {
    log_line(e.what());
    return 1;
  }
}
