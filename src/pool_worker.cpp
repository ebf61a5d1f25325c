// L5 services: the life of a worker of a process_pool; knows system calls.
// SPDX-License-Identifier: MIT
#include "pool_worker.hpp"

#include <ringlet/process_pool.hpp>

#include "fork_server.hpp"

#include <cerrno>
#include <cstdio>
#include <exception>
#include <span>

#include <sys/socket.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

using bytes = std::vector<std::byte>;

bytes failure(const char* text) {
  message_writer out;
  put(out, std::string_view(text));
  return std::move(out).finish(static_cast<std::uint64_t>(answer_meaning::failure));
}

bytes answer_to(remote_function function, const bytes& call) {
  try {
    message_reader in(call);
    message_writer out;
    function(in, out);
    return std::move(out).finish(static_cast<std::uint64_t>(answer_meaning::result));
  } catch (const std::exception& e) {
    return failure(e.what());
  } catch (...) {
    return failure("something that is no std::exception");
  }
}

/// One call; false when none comes any more. What the function has printed is flushed, as nothing else will do it.
bool answer_next(int socket) {
  message_head head{};
  if (!receive_all(socket, &head, sizeof head)) return false;
  bytes call(head.size);
  if (!receive_all(socket, call.data(), call.size())) return false;
  const bytes answer = answer_to(reinterpret_cast<remote_function>(head.meaning), call);
  std::fflush(nullptr);
  return send_all(socket, answer.data(), answer.size());
}

}  // namespace

void work_on_calls(int socket) noexcept {
  while (answer_next(socket)) continue;
  ::_exit(0);
}

bool receive_all(int socket, void* to, std::size_t size) noexcept {
  auto* at = static_cast<std::byte*>(to);
  while (size > 0) {
    const ssize_t got = ::recv(socket, at, size, MSG_WAITALL);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool send_all(int socket, const void* from, std::size_t size) noexcept {
  const auto* at = static_cast<const std::byte*>(from);
  while (size > 0) {
    const ssize_t sent = ::send(socket, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace ringlet::detail
