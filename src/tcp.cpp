// L5 services: makes, binds, connects and accepts TCP sockets; knows socket system calls.
// SPDX-License-Identifier: MIT
#include <ringlet/tcp_listener.hpp>

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace ringlet {
namespace {

unique_fd open_socket(const char* operation, const endpoint& for_address) {
  unique_fd fd(::socket(for_address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw os_error(operation, for_address.to_string(), errno);
  return fd;
}

void set_option(int fd, int level, int option, int value, const char* name) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) throw os_error(name, fd, errno);
}

unique_fd open_client_socket(const endpoint& to) {
  unique_fd fd = open_socket("connect", to);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "setsockopt TCP_NODELAY");
  return fd;
}

using name_function = int (*)(int, sockaddr*, socklen_t*);

endpoint name_of(int fd, name_function ask, const char* operation) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (ask(fd, generic, &size) != 0) throw os_error(operation, fd, errno);
  return endpoint(generic, size);
}

}  // namespace

// --- tcp_stream

detail::connect_awaiter tcp_stream::connect(const endpoint& to) {
  return detail::connect_awaiter(to);
}
endpoint tcp_stream::local() const {
  return name_of(fd(), ::getsockname, "getsockname");
}
endpoint tcp_stream::peer() const {
  return name_of(fd(), ::getpeername, "getpeername");
}
void tcp_stream::nodelay(bool on) {
  set_option(fd(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, "setsockopt TCP_NODELAY");
}

namespace detail {

connect_awaiter::connect_awaiter(const endpoint& to) : connect_awaiter(to, socket_owner(open_client_socket(to))) {}

connect_awaiter::connect_awaiter(const endpoint& to, socket_owner s)
    : stream_op(*s, direction::out, {io_code::connect, s->fd(), nullptr, 0, to.size(), 0}),
      to_(to),
      socket_(std::move(s)) {}

bool connect_awaiter::await_ready() noexcept {
  request_.address = to_.data();  // Why here: the awaiter does not move any more
  return stream_op::await_ready();
}

tcp_stream connect_awaiter::await_resume() {
  take_result();
  return tcp_stream(std::move(socket_));
}

os_error connect_awaiter::make_error(int error) const {
  return os_error("connect", to_.to_string(), error);
}

}  // namespace detail

// --- tcp_listener

tcp_listener tcp_listener::bind(const endpoint& where, const listen_options& how) {
  unique_fd fd = open_socket("bind", where);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "setsockopt SO_REUSEADDR");
  if (how.reuse_port_) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1, "setsockopt SO_REUSEPORT");
  if (where.is_v6()) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, how.dual_stack_ ? 0 : 1, "setsockopt IPV6_V6ONLY");
  // Accepted connections inherit these, which saves system calls for each.
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, how.nodelay_ ? 1 : 0, "setsockopt TCP_NODELAY");
  if (how.send_buffer_ > 0) set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, how.send_buffer_, "setsockopt SO_SNDBUF");
  const auto size = static_cast<socklen_t>(where.size());
  if (::bind(fd.get(), where.data(), size) != 0) throw os_error("bind", where.to_string(), errno);
  if (::listen(fd.get(), how.backlog_) != 0) throw os_error("listen", where.to_string(), errno);
  return tcp_listener(std::move(fd));
}

endpoint tcp_listener::local() const {
  return name_of(fd(), ::getsockname, "getsockname");
}

}  // namespace ringlet
