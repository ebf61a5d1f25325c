// Bench: one connection of the load generator; knows what it has sent and checks every byte that comes back.
// SPDX-License-Identifier: MIT
#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

void switch_on(int fd, int level, int option) {
  const int on = 1;
  if (setsockopt(fd, level, option, &on, sizeof on) < 0) fail("setsockopt");
}

sockaddr_in address(std::uint32_t host, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(host);
  return result;
}

int connect_to(std::uint16_t port, std::uint32_t number) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  switch_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
  switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
  const sockaddr_in from = address(INADDR_LOOPBACK + 256 * (1 + number % 200), 0);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) < 0) fail("bind");
  const sockaddr_in to = address(INADDR_LOOPBACK, port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) fail("connect");
  return fd;
}

std::byte hot_buffer[pattern::longest_piece];  // one for all connections, so that it stays in the cache

}  // namespace

pattern::pattern() : bytes_(period + longest_piece) {
  std::mt19937_64 random(1);
  std::generate_n(bytes_.begin(), period, [&] { return static_cast<std::byte>(random()); });
  for (std::size_t i = period; i < bytes_.size(); ++i) bytes_[i] = bytes_[i - period];
}

connection::connection(std::uint16_t port, std::uint32_t number)
    : fd_(connect_to(port, number)), first_(number * std::uint64_t{7919}) {}

connection::connection(connection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      first_(other.first_),
      granted_(other.granted_),
      sent_(other.sent_),
      received_(other.received_) {}

connection& connection::operator=(connection&& other) noexcept {
  std::swap(fd_, other.fd_);
  first_ = other.first_;
  granted_ = other.granted_;
  sent_ = other.sent_;
  received_ = other.received_;
  return *this;
}

connection::~connection() {
  if (fd_ >= 0) close(fd_);
}

void connection::send(const pattern& text) {
  while (sent_ < granted_) {
    const std::size_t size = std::min<std::uint64_t>(granted_ - sent_, pattern::longest_piece);
    const ssize_t n = ::send(fd_, text.from(position(sent_)), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("send");
    sent_ += static_cast<std::size_t>(n);
  }
}

void connection::receive(const pattern& text) {
  for (;;) {
    const ssize_t n = recv(fd_, hot_buffer, sizeof hot_buffer, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("recv");
    if (n == 0) throw std::runtime_error("the server closed a connection before it had sent everything back");
    compare(text, hot_buffer, static_cast<std::size_t>(n));
    // Why: more that arrives from here on gives an event of its own, also an edge-triggered one.
    if (static_cast<std::size_t>(n) < sizeof hot_buffer) return;
  }
}

void connection::compare(const pattern& text, const std::byte* got, std::size_t size) {
  if (received_ + size > sent_) throw std::runtime_error("the server sent more than it got");
  if (std::memcmp(got, text.from(position(received_)), size) != 0) {
    throw std::runtime_error("the server sent back other bytes than it got");
  }
  received_ += size;
}

void connection::exchange(const pattern& text) {
  for (send(text); !settled(); send(text)) {
    const short out = sent_ < granted_ ? POLLOUT : 0;
    pollfd wait{fd_, static_cast<short>(POLLIN | out), 0};
    const int ready = poll(&wait, 1, 10'000);
    if (ready < 0 && errno != EINTR) fail("poll");
    if (ready == 0) throw std::runtime_error("the server has not answered for ten seconds");
    receive(text);
  }
}

}  // namespace bench
