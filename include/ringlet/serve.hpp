// L5 services: serve, the accept loop of a server with its limits and its orderly end; knows nurseries and listeners.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/hook.hpp>
#include <ringlet/tcp_listener.hpp>
#include <ringlet/time.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace ringlet {

namespace detail {
class server;
}

/// The limits of serve(), and whom it tells. Each setter returns the options, so that they can be chained.
class serve_options {
 public:
  /// Connections served at a time. default: 10,000, or 64 less than the process may have descriptors if that is less.
  serve_options& max_connections(std::size_t count) noexcept {
    max_connections_ = count;
    return *this;
  }
  /// What a connection over the limit is told before it is closed. default: nothing.
  serve_options& busy_reply(std::string text) {
    busy_reply_ = std::move(text);
    return *this;
  }
  /// How long sessions may go on once serve() is cancelled. default: 5 s.
  serve_options& drain(any_duration length) noexcept {
    drain_ = length;
    return *this;
  }
  /// Called when draining begins, before any session reads the end of its stream. A session that learns of it can tell
  /// a last line that its client ended from one that the server cut off. default: nobody is told.
  serve_options& on_drain(detail::hook<void()> hook) noexcept {
    on_drain_ = std::move(hook);
    return *this;
  }
  /// Gets what a session threw, other than what ends a connection in the ordinary way. default: serve() fails with it.
  serve_options& on_error(detail::hook<void(std::exception_ptr)> hook) noexcept {
    on_error_ = std::move(hook);
    return *this;
  }
  /// Gets a line of text when connections cannot be accepted, at most once a second. default: nobody is told.
  serve_options& on_warning(detail::hook<void(std::string_view)> hook) noexcept {
    on_warning_ = std::move(hook);
    return *this;
  }

 private:
  friend class detail::server;
  std::size_t max_connections_ = 0;  // 0: the default
  std::string busy_reply_;
  duration drain_ = std::chrono::seconds(5);
  detail::hook<void()> on_drain_;
  detail::hook<void(std::exception_ptr)> on_error_;
  detail::hook<void(std::string_view)> on_warning_;
};

namespace detail {

/// A session handler whose type serve() need not know.
class session_handler {
 public:
  virtual task<> serve(tcp_stream client) = 0;

 protected:
  ~session_handler() = default;
};

template <class F>
class session_function final : public session_handler {
 public:
  explicit session_function(F function) : function_(std::move(function)) {}
  task<> serve(tcp_stream client) override { return function_(std::move(client)); }

 private:
  F function_;
};

task<> serve_with(std::vector<tcp_listener> listeners, session_handler& handler, serve_options how);

template <class F>
task<> serve_function(std::vector<tcp_listener> listeners, F handler, serve_options how) {
  session_function<F> sessions(std::move(handler));
  co_await serve_with(std::move(listeners), sessions, std::move(how));
}

}  // namespace detail

/// Accepts connections for ever and runs handler(tcp_stream), a task<>, for each as a task of its own.
/// cancel: it drains: it stops listening at once, lets every session read what has arrived and then the
/// end of the stream, waits for them to finish, and cancels those that take longer than serve_options::drain.
/// errors: of accept, other than those of single connections and a lack of descriptors or memory, which it waits out;
/// what a session threw, unless the peer or the network was the cause (see serve_options::on_error).
/// lifetime: owns listeners and handler; a session owns its stream.
template <class F>
task<> serve(std::vector<tcp_listener> listeners, F&& handler, serve_options how = {}) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  return detail::serve_function<std::decay_t<F>>(std::move(listeners), std::forward<F>(handler), std::move(how));
}

/// The same for a single listener.
template <class F>
task<> serve(tcp_listener listener, F&& handler, serve_options how = {}) {
  std::vector<tcp_listener> listeners;
  listeners.push_back(std::move(listener));
  return serve(std::move(listeners), std::forward<F>(handler), std::move(how));
}

}  // namespace ringlet
