// L5 services: what sockets of all families have in common; knows socket system calls.
// SPDX-License-Identifier: MIT
#include "socket_calls.hpp"

#include <ringlet/detail/connection.hpp>

#include <cerrno>

#include <sys/socket.h>

namespace ringlet::detail {
namespace {

using name_function = int (*)(int, sockaddr*, socklen_t*);

endpoint name_of(int fd, name_function ask, const char* operation) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (ask(fd, generic, &size) != 0) throw os_error(operation, fd, errno);
  return endpoint(generic, size);
}

}  // namespace

unique_fd open_socket(const char* operation, const endpoint& for_address, int type) {
  unique_fd fd(::socket(for_address.family(), type | SOCK_CLOEXEC, 0));
  if (!fd) throw os_error(operation, for_address.to_string(), errno);
  return fd;
}

std::pair<unique_fd, unique_fd> open_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw os_error("socketpair", "", errno);
  return {unique_fd(ends[0]), unique_fd(ends[1])};
}

int bind_now(int fd, const endpoint& where) noexcept {
  return ::bind(fd, where.data(), static_cast<socklen_t>(where.size())) == 0 ? 0 : errno;
}

int connect_now(int fd, const endpoint& to) noexcept {
  return ::connect(fd, to.data(), static_cast<socklen_t>(to.size())) == 0 ? 0 : errno;
}

void set_option(int fd, int level, int option, int value, const char* name) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) throw os_error(name, fd, errno);
}

endpoint local_name(int fd) {
  return name_of(fd, ::getsockname, "getsockname");
}

endpoint peer_name(int fd) {
  return name_of(fd, ::getpeername, "getpeername");
}

// --- connect

connect_op::connect_op(const endpoint& to, unique_fd unconnected)
    : connect_op(to, socket_owner(std::move(unconnected))) {}

connect_op::connect_op(const endpoint& to, socket_owner s)
    : stream_op(*s, direction::out, {io_code::connect, s->fd(), nullptr, 0, 0, to.size()}),
      to_(to),
      socket_(std::move(s)) {}

bool connect_op::await_ready() noexcept {
  request_.address = to_.data();  // Why here: the awaiter does not move any more
  return stream_op::await_ready();
}

socket_owner connect_op::take() {
  take_result();
  return std::move(socket_);
}

os_error connect_op::make_error(int error) const {
  return os_error("connect", to_.to_string(), error);
}

}  // namespace ringlet::detail
