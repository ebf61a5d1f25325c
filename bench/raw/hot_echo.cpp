// Bench: echo by direct calls on one buffer for all connections; for servers that are told of readiness.
// SPDX-License-Identifier: MIT
#include "hot_echo.hpp"

#include <cerrno>

#include <sys/socket.h>

namespace bench {

std::vector<std::byte>& hot_echo::rest_of(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= rests_.size()) rests_.resize(2 * index + 1);
  return rests_[index];
}

hot_echo::state hot_echo::send_back(int fd, const std::byte* from, std::size_t size) {
  const ssize_t n = send(fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return state::closed;
  const std::size_t sent = n < 0 ? 0 : static_cast<std::size_t>(n);
  if (sent == size) return state::idle;
  rest_of(fd).assign(from + sent, from + size);
  return state::blocked;
}

hot_echo::state hot_echo::readable(int fd) {
  if (!rest_of(fd).empty()) return state::blocked;
  for (;;) {
    const ssize_t n = recv(fd, buffer_.get(), buffer_size, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return state::idle;
    if (n <= 0) return state::closed;
    const state after = send_back(fd, buffer_.get(), static_cast<std::size_t>(n));
    // Why: more that arrives after a short read gives an event of its own.
    if (after != state::idle || static_cast<std::size_t>(n) < buffer_size) return after;
  }
}

hot_echo::state hot_echo::writable(int fd) {
  std::vector<std::byte>& rest = rest_of(fd);
  if (!rest.empty()) {
    const std::vector<std::byte> bytes = std::move(rest);
    rest.clear();
    const state after = send_back(fd, bytes.data(), bytes.size());
    if (after != state::idle) return after;
  }
  return readable(fd);
}

void hot_echo::forget(int fd) {
  rest_of(fd).clear();
}

}  // namespace bench
