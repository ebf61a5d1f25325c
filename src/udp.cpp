// L5 services: makes, binds and connects UDP sockets, and moves datagrams; knows socket system calls.
// SPDX-License-Identifier: MIT
#include "socket_calls.hpp"

#include <ringlet/udp_socket.hpp>

#include <algorithm>
#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>

namespace ringlet {
namespace {

unique_fd open_datagram_socket(const char* operation, const endpoint& address) {
  if (address.is_unix()) throw os_error(operation, address.to_string(), EAFNOSUPPORT);
  return detail::open_socket(operation, address, SOCK_DGRAM);
}

int passed(ssize_t result) noexcept {
  return result >= 0 ? static_cast<int>(result) : -errno;
}

}  // namespace

// --- One datagram

namespace detail {

int datagram_sending::pass() noexcept {
  const sockaddr* const address = to_ ? to_->data() : nullptr;
  const std::size_t size = to_ ? to_->size() : 0;
  return passed(::sendto(request_.fd, bytes_.data(), bytes_.size(), MSG_DONTWAIT | MSG_NOSIGNAL, address,
                         static_cast<socklen_t>(size)));
}

os_error datagram_sending::make_error(int error) const {
  return to_ ? os_error("send to", to_->to_string(), error) : os_error("send", request_.fd, error);
}

// Kernel: with MSG_TRUNC it says how long the datagram was, and not how much of it there was room for.
int datagram_receiving::pass() noexcept {
  socklen_t size = sizeof peer_;
  const int result = passed(::recvfrom(request_.fd, to_.data(), to_.size(), MSG_DONTWAIT | MSG_TRUNC,
                                       reinterpret_cast<sockaddr*>(peer_.data()), &size));
  peer_size_ = size;
  return result;
}

datagram datagram_receiving::await_resume() const {
  const auto length = static_cast<std::size_t>(take_size());
  const endpoint peer(reinterpret_cast<const sockaddr*>(peer_.data()), peer_size_);
  return datagram(to_.first(std::min(length, to_.size())), length > to_.size(), peer);
}

os_error datagram_receiving::make_error(int error) const {
  return os_error("receive", request_.fd, error);
}

}  // namespace detail

// --- udp_socket

using detail::set_option;

udp_socket udp_socket::bind(const endpoint& where, const udp_options& how) {
  udp_socket made(open_datagram_socket("bind", where));
  const int fd = made.fd();
  if (how.reuse_address_) set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "setsockopt SO_REUSEADDR");
  if (how.reuse_port_) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, "setsockopt SO_REUSEPORT");
  if (where.is_v6()) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, how.dual_stack_ ? 0 : 1, "setsockopt IPV6_V6ONLY");
  if (how.broadcast_) set_option(fd, SOL_SOCKET, SO_BROADCAST, 1, "setsockopt SO_BROADCAST");
  if (how.receive_buffer_ > 0) set_option(fd, SOL_SOCKET, SO_RCVBUF, how.receive_buffer_, "setsockopt SO_RCVBUF");
  if (const int error = detail::bind_now(fd, where)) throw os_error("bind", where.to_string(), error);
  return made;
}

udp_socket udp_socket::connect(const endpoint& to) {
  udp_socket made(open_datagram_socket("connect", to));
  if (const int error = detail::connect_now(made.fd(), to)) throw os_error("connect", to.to_string(), error);
  return made;
}

endpoint udp_socket::local() const {
  return detail::local_name(fd());
}

endpoint udp_socket::peer() const {
  return detail::peer_name(fd());
}

}  // namespace ringlet
