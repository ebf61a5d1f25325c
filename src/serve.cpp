// L5 services: how a server accepts, refuses, waits out shortages and drains; knows nurseries and listeners.
// SPDX-License-Identifier: MIT
#include <ringlet/serve.hpp>

#include <ringlet/as_result.hpp>
#include <ringlet/event.hpp>
#include <ringlet/line_reader.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/timeout.hpp>

#include <algorithm>
#include <cerrno>

#include <sys/resource.h>

#include <fmt/format.h>

namespace ringlet {
namespace detail {
namespace {

constexpr auto shortage_pause = std::chrono::milliseconds(100);
constexpr auto warning_interval = std::chrono::seconds(1);
constexpr auto refusal_time = std::chrono::seconds(1);
constexpr std::size_t descriptors_kept_free = 64;
constexpr std::size_t patient_refusals = 32;  // at a time; fewer than the descriptors kept free

std::size_t default_connections() noexcept {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t allowed = std::max<std::size_t>(limit.rlim_cur, descriptors_kept_free + 1);
  return std::min<std::size_t>(10'000, allowed - descriptors_kept_free);
}

bool is_shortage(const std::error_code& error) noexcept {
  const int code = error.value();
  return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}

bool is_broken_connection(const std::error_code& error) noexcept {
  switch (error.value()) {
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ETIMEDOUT:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH: return true;
    default: return false;
  }
}

}  // namespace

class server {
 public:
  server(std::vector<tcp_listener> listeners, session_handler& handler, serve_options how)
      : listeners_(std::move(listeners)), handler_(handler), how_(std::move(how)) {
    if (how_.max_connections_ == 0) how_.max_connections_ = default_connections();
  }

  task<> run() {
    co_await with_nursery([this](nursery& n) { return run_in(n); });
  }

 private:
  /// A connection with a session, as draining sees it.
  struct connection : list_links {
    explicit connection(const ref<socket>& s) noexcept : peer(s) {}
    ~connection() { unlink(); }
    ref<socket> peer;
  };

  task<> run_in(nursery& n) {
    n.spawn(name("sessions"), [this] { return hold_sessions(); });
    co_await sessions_open_.wait();
    co_await finally(accept_from_all(), [this] { return stop(); });
  }

  // The sessions have a nursery out of reach of the cancel request, so that it can end them in good order.
  task<> hold_sessions() {
    co_await shield(with_nursery([this](nursery& n) { return keep_open(n); }));
  }

  /// The time in which sessions can begin. Why: a connection may still come in when a failure has ended them all.
  class admission {
   public:
    admission(server& s, nursery& n) noexcept : server_(s) { server_.sessions_ = &n; }
    admission(const admission&) = delete;
    admission& operator=(const admission&) = delete;
    ~admission() { server_.sessions_ = nullptr; }

   private:
    server& server_;
  };

  task<> keep_open(nursery& n) {
    const admission guard(*this, n);
    sessions_open_.set();
    co_await stopping_.wait();
    if (how_.on_drain_) how_.on_drain_();
    for (connection* c = connections_.front(); c != nullptr; c = connections_.after(*c)) end_input(*c->peer);
    all_gone_.clear();
    if (active_ + refusing_ > 0) co_await move_on_after(how_.drain_, all_gone_.wait());
    n.cancel();
  }

  // The session reads what has arrived, and then the end of the stream.
  static void end_input(const socket& peer) noexcept {
    if (!peer.closed()) this_driver().end_input(peer.fd());
  }

  task<> stop() {
    listeners_.clear();
    stopping_.set();
    co_return;
  }

  task<> accept_from_all() {
    co_await with_nursery([this](nursery& n) -> task<> {
      for (tcp_listener& listener : listeners_) {
        n.spawn(name("accept"), [this](tcp_listener* from) { return accept_from(*from); }, borrowed(&listener));
      }
      co_return;
    });
  }

  task<> accept_from(tcp_listener& listener) {
    for (;;) {
      result<tcp_stream> accepted = co_await as_result(listener.accept());
      if (accepted) {
        admit(std::move(*accepted));
      } else if (is_shortage(accepted.error())) {
        warn(accepted.error());
        co_await sleep_for(shortage_pause);
      } else {
        throw os_error("accept", listener.fd(), accepted.error().value());
      }
    }
  }

  void admit(tcp_stream client) {
    if (sessions_ == nullptr) return;
    if (active_ < how_.max_connections_) {
      ++active_;
      sessions_->spawn([this](tcp_stream c) { return session(std::move(c)); }, std::move(client));
    } else if (!how_.busy_reply_.empty()) {
      ++refusing_;
      sessions_->spawn([this](tcp_stream c) { return refuse(std::move(c)); }, std::move(client));
    }
  }

  task<> session(tcp_stream client) {
    const leaving guard(*this, active_);
    connection entry(client.observe());
    connections_.push_back(entry);
    if (stopping_.is_set()) end_input(*entry.peer);
    try {
      co_await handler_.serve(std::move(client));
    } catch (const std::exception& e) {
      if (!ends_ordinarily(e)) report(std::current_exception());
    }
  }

  task<> refuse(tcp_stream client) {
    const leaving guard(*this, refusing_);
    const bool patient = refusing_ <= patient_refusals;
    try {
      co_await move_on_after(refusal_time, tell_busy(client, patient));
    } catch (const os_error&) {
      // It has gone by itself.
    }
  }

  // patient: first reads what the client has sent, for a close with unread input would take the reply back.
  task<> tell_busy(tcp_stream& client, bool patient) {
    co_await client.write_all(how_.busy_reply_);
    if (!patient) co_return;
    co_await client.shutdown_send();
    std::byte ignored[512];
    while (co_await client.read_some(ignored) > 0) {
    }
  }

  /// Counts a session out, and says so when it was the last.
  class leaving {
   public:
    leaving(server& s, std::size_t& counter) noexcept : server_(s), counter_(counter) {}
    leaving(const leaving&) = delete;
    leaving& operator=(const leaving&) = delete;
    ~leaving() {
      --counter_;
      if (server_.active_ + server_.refusing_ == 0) server_.all_gone_.set();
    }

   private:
    server& server_;
    std::size_t& counter_;
  };

  static bool ends_ordinarily(const std::exception& e) noexcept {
    if (const auto* system = dynamic_cast<const std::system_error*>(&e)) return is_broken_connection(system->code());
    return dynamic_cast<const timed_out*>(&e) != nullptr || dynamic_cast<const end_of_stream*>(&e) != nullptr ||
           dynamic_cast<const line_too_long*>(&e) != nullptr;
  }

  void report(std::exception_ptr error) {
    if (!how_.on_error_) std::rethrow_exception(std::move(error));
    how_.on_error_(std::move(error));
  }

  void warn(const std::error_code& why) {
    const time_point now = this_loop().now();
    if (!how_.on_warning_ || now < next_warning_) return;
    next_warning_ = later(now, warning_interval);
    how_.on_warning_(fmt::format("cannot accept connections with {} open: {}", active_, why.message()));
  }

  std::vector<tcp_listener> listeners_;
  session_handler& handler_;
  serve_options how_;

  nursery* sessions_ = nullptr;  // null: no session can begin, not yet or not any more
  event sessions_open_;
  event stopping_;
  event all_gone_;  // meaningful while stopping
  intrusive_list<connection> connections_;
  std::size_t active_ = 0;
  std::size_t refusing_ = 0;
  time_point next_warning_ = long_ago;
};

task<> serve_with(std::vector<tcp_listener> listeners, session_handler& handler, serve_options how) {
  server s(std::move(listeners), handler, std::move(how));
  co_await s.run();
}

}  // namespace detail
}  // namespace ringlet
