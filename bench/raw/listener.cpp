// Bench: what all hand-written servers share: the listening socket, and how they are told to stop.
// SPDX-License-Identifier: MIT
#include "listener.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace bench {

namespace {

volatile std::sig_atomic_t stop = 0;

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
}

}  // namespace

int listen_on_loopback() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(fd, "socket");
  const int on = 1;
  check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), "bind");
  check(listen(fd, 4096), "listen");
  socklen_t size = sizeof where;
  check(getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size), "getsockname");
  fmt::print("listening on 127.0.0.1:{}\n", ntohs(where.sin_port));
  std::fflush(stdout);
  return fd;
}

bool stop_requested() noexcept {
  return stop != 0;
}

void listen_to_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { stop = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace bench
