// L5 services: makes, binds, connects and accepts TCP sockets; knows socket system calls.
// SPDX-License-Identifier: MIT
#include "socket_calls.hpp"

#include <ringlet/tcp_listener.hpp>

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace ringlet {

using detail::bind_now, detail::local_name, detail::open_socket, detail::peer_name, detail::set_option;

namespace {

unique_fd open_client_socket(const endpoint& to) {
  unique_fd fd = open_socket("connect", to, SOCK_STREAM);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "setsockopt TCP_NODELAY");
  return fd;
}

}  // namespace

// --- tcp_stream

detail::connect_awaiter<tcp_stream> tcp_stream::connect(const endpoint& to) {
  return {to, open_client_socket(to)};
}
endpoint tcp_stream::local() const {
  return local_name(fd());
}
endpoint tcp_stream::peer() const {
  return peer_name(fd());
}
void tcp_stream::nodelay(bool on) {
  set_option(fd(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, "setsockopt TCP_NODELAY");
}

// --- tcp_listener

tcp_listener tcp_listener::bind(const endpoint& where, const listen_options& how) {
  unique_fd fd = open_socket("bind", where, SOCK_STREAM);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "setsockopt SO_REUSEADDR");
  if (how.reuse_port_) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1, "setsockopt SO_REUSEPORT");
  if (where.is_v6()) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, how.dual_stack_ ? 0 : 1, "setsockopt IPV6_V6ONLY");
  // Accepted connections inherit these, which saves system calls for each.
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, how.nodelay_ ? 1 : 0, "setsockopt TCP_NODELAY");
  if (how.send_buffer_ > 0) set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, how.send_buffer_, "setsockopt SO_SNDBUF");
  if (const int error = bind_now(fd.get(), where)) throw os_error("bind", where.to_string(), error);
  if (::listen(fd.get(), how.backlog_) != 0) throw os_error("listen", where.to_string(), errno);
  return tcp_listener(std::move(fd));
}

endpoint tcp_listener::local() const {
  return local_name(fd());
}

}  // namespace ringlet
