// L5 services: tcp_listener, which accepts TCP connections; knows sockets and their addresses.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/tcp_stream.hpp>

#include <optional>

namespace ringlet {

/// How a listener is bound. Each setter returns the options, so that they can be chained.
class listen_options {
 public:
  /// Connections the kernel keeps until they are accepted. default: 4,096; the kernel's own limit is
  /// net.core.somaxconn.
  listen_options& backlog(int connections) noexcept {
    backlog_ = connections;
    return *this;
  }
  /// Lets several listeners share the port, and the kernel spread connections over them. default: off.
  listen_options& reuse_port(bool on = true) noexcept {
    reuse_port_ = on;
    return *this;
  }
  /// Lets an IPv6 listener take IPv4 connections too. default: off.
  listen_options& dual_stack(bool on = true) noexcept {
    dual_stack_ = on;
    return *this;
  }
  /// Sends small writes of accepted connections at once. default: on.
  listen_options& nodelay(bool on = true) noexcept {
    nodelay_ = on;
    return *this;
  }
  /// Kernel memory for what an accepted connection has written and its client has not taken. units: bytes, of which
  /// Linux takes twice as many. default: the kernel's own, which grows up to net.ipv4.tcp_wmem, 4 MiB as a rule.
  listen_options& send_buffer(int size) noexcept {
    send_buffer_ = size;
    return *this;
  }

 private:
  friend class tcp_listener;
  int backlog_ = 4096;
  int send_buffer_ = 0;  // 0: the kernel's
  bool reuse_port_ = false;
  bool dual_stack_ = false;
  bool nodelay_ = true;
};

namespace detail {

class [[nodiscard]] next_connection final : public inflow::visit {
 public:
  explicit next_connection(inflow& from) noexcept : visit(from) {}
  std::optional<tcp_stream> await_resume();

 private:
  bool listener_closed() const noexcept { return refused() == EBADF; }
};

}  // namespace detail

/// The connections of a listener, one after the other. The kernel is asked once for all of them; what nobody takes
/// waits here, and from 64 on in the kernel's queue, except that a burst may come as a whole, up to the size of the
/// completion queue. One task at a time may wait. threads: the loop's.
/// lifetime: may outlive the listener; while a task waits, close() the listener, for its destructor aborts.
class incoming_connections {
 public:
  /// For listeners: incoming() gives one.
  explicit incoming_connections(detail::ref<detail::socket> listener) : listener_(std::move(listener)) {}
  incoming_connections(incoming_connections&&) = default;
  incoming_connections& operator=(incoming_connections&&) = delete;
  ~incoming_connections();

  /// Waits for a connection; nullopt when the listener was closed. errors: os_error; EMFILE and its like leave the
  /// connection in the kernel's queue. cancel: safe; a connection that was accepted meanwhile is the next one.
  detail::next_connection next();

 private:
  detail::ref<detail::socket> listener_;  // null after a move
};

/// A listening TCP socket. One task at a time may accept; a second one gets an os_error (EBUSY). threads: the loop's.
/// lifetime: closes at its end, or, when incoming() was used, in the loop's next turn; co_await close() has closed it.
/// No accept() or next() may be in flight at its end.
class tcp_listener {
 public:
  /// Takes over a listening socket.
  explicit tcp_listener(unique_fd listening) : socket_(std::move(listening)) {}

  /// Binds and listens; port 0 takes a free one. SO_REUSEADDR is on, so that a restart does not wait for TIME_WAIT.
  /// errors: os_error, "bind 127.0.0.1:80: permission denied". Never suspends.
  static tcp_listener bind(const endpoint& where, const listen_options& how = {});

  /// Waits for a connection. errors: os_error; EMFILE and its like leave the connection in the kernel's queue.
  /// cancel: safe; a connection that was accepted is returned, not lost.
  detail::accept_awaiter<tcp_stream> accept() noexcept { return detail::accept_awaiter<tcp_stream>(*socket_); }

  /// All connections from now on: `while (auto client = co_await connections.next())`.
  incoming_connections incoming() const { return incoming_connections(socket_.share()); }

  /// The address it listens on, with the port it got. errors: os_error.
  endpoint local() const;

  /// Stops listening; an accept in flight ends with os_error (EBADF). Twice is no error. cancel: closes all the same.
  detail::socket::close_awaiter close() noexcept { return detail::socket::close_awaiter(socket_.share()); }

  /// -1 when closed.
  int fd() const noexcept { return socket_->fd(); }

 private:
  detail::socket_owner socket_;
};

}  // namespace ringlet
