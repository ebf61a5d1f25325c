// Bench: the hand-written server on epoll, edge-triggered.
// SPDX-License-Identifier: MIT
#include "../ending.hpp"
#include "hot_echo.hpp"
#include "listener.hpp"
#include "servers.hpp"

#include <cerrno>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

namespace {

void watch(int poller, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) {
    throw std::system_error(errno, std::system_category(), "epoll_ctl");
  }
}

void accept_all(int poller, int listener, hot_echo& echo) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    echo.forget(fd);
    watch(poller, fd, EPOLLIN | EPOLLOUT | EPOLLET);
  }
}

}  // namespace

void serve_epoll(int listener) {
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  fcntl(listener, F_SETFL, O_NONBLOCK);
  watch(poller, listener, EPOLLIN);
  hot_echo echo;
  epoll_event events[512];
  while (!stop_requested()) {
    const int count = epoll_wait(poller, events, std::size(events), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        accept_all(poller, listener, echo);
      } else if (echo.writable(fd) == hot_echo::state::closed) {
        close(fd);
        session_ended();
      }
    }
  }
  close(poller);
}

}  // namespace bench
