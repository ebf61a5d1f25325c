// L5 services: unix-domain sockets, their files, and descriptors sent through them; knows socket system calls.
// SPDX-License-Identifier: MIT
#include "socket_calls.hpp"

#include <ringlet/unix_listener.hpp>

#include "fd_message.hpp"

#include <cerrno>
#include <cstddef>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace ringlet {
namespace {

unique_fd open_local_socket(const char* operation, const endpoint& address) {
  if (!address.is_unix()) throw os_error(operation, address.to_string(), EAFNOSUPPORT);
  return detail::open_socket(operation, address, SOCK_STREAM);
}

// --- The file of a socket

/// Empty for an abstract name.
std::string path_of(const endpoint& where) {
  const auto* bytes = reinterpret_cast<const char*>(where.data());
  const bool abstract = where.size() <= offsetof(sockaddr_un, sun_path) || bytes[offsetof(sockaddr_un, sun_path)] == 0;
  return abstract ? std::string() : where.host();
}

bool is_socket_of_ours(const std::string& path) noexcept {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode) && found.st_uid == ::geteuid();
}

// Kernel: a full queue is EAGAIN, another type of socket EPROTOTYPE; only where nobody is, it says refused.
bool nobody_answers(const endpoint& where) {
  const unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe && detail::connect_now(probe.get(), where) == ECONNREFUSED;
}

bool removed_stale_socket(const endpoint& where) {
  const std::string path = path_of(where);
  return !path.empty() && is_socket_of_ours(path) && nobody_answers(where) && ::unlink(path.c_str()) == 0;
}

void bind_or_replace(int fd, const endpoint& where) {
  int error = detail::bind_now(fd, where);
  if (error == EADDRINUSE && removed_stale_socket(where)) error = detail::bind_now(fd, where);
  if (error != 0) throw os_error("bind", where.to_string(), error);
}

}  // namespace

// --- send_fd, receive_fd

namespace detail {

int fd_sending::pass() noexcept {
  fd_message message;
  message.put(fd_);
  const ssize_t sent = ::sendmsg(request_.fd, &message.header(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent >= 0 ? 0 : -errno;
}

os_error fd_sending::make_error(int error) const {
  return os_error("send_fd", request_.fd, error);
}

bool fd_receiving::await_ready() noexcept {
  const bool read_ahead = target().input() != nullptr && !target().closed();
  if (!read_ahead || cancel_requested()) return passage::await_ready();
  end_with(-EBUSY);
  return true;
}

int fd_receiving::pass() noexcept {
  fd_message message;
  const ssize_t size = ::recvmsg(request_.fd, &message.header(), MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size <= 0) return size == 0 ? 0 : -errno;
  unique_fd came = message.get();
  // Kernel: cut off with one here, there were several; with none, this process may not have more descriptors.
  if (message.truncated()) return came ? -EBADMSG : -EMFILE;
  if (!came) return -EBADMSG;
  received_ = std::move(came);
  return 0;
}

unique_fd fd_receiving::await_resume() {
  take_size();
  return std::move(received_);
}

os_error fd_receiving::make_error(int error) const {
  return os_error("receive_fd", request_.fd, error);
}

// --- socket_file

socket_file::socket_file(std::string path) noexcept {
  struct stat made{};
  if (path.empty() || ::lstat(path.c_str(), &made) != 0) return;
  path_ = std::move(path);
  device_ = made.st_dev;
  inode_ = made.st_ino;
}

socket_file::socket_file(socket_file&& other) noexcept
    : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

socket_file& socket_file::operator=(socket_file&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

void socket_file::remove() noexcept {
  const std::string path = std::exchange(path_, {});
  struct stat found{};
  if (path.empty() || ::lstat(path.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) ::unlink(path.c_str());
}

}  // namespace detail

// --- unix_stream

detail::connect_awaiter<unix_stream> unix_stream::connect(const endpoint& to) {
  return {to, open_local_socket("connect", to)};
}

std::pair<unix_stream, unix_stream> unix_stream::pair() {
  auto [one, other] = detail::open_socket_pair();
  return {unix_stream(std::move(one)), unix_stream(std::move(other))};
}

endpoint unix_stream::local() const {
  return detail::local_name(fd());
}
endpoint unix_stream::peer() const {
  return detail::peer_name(fd());
}

unix_stream::credentials unix_stream::peer_credentials() const {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(fd(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) throw os_error("SO_PEERCRED", fd(), errno);
  return {who.pid, who.uid, who.gid};
}

// --- unix_listener

unix_listener unix_listener::bind(const endpoint& where, const unix_listen_options& how) {
  unix_listener made(open_local_socket("bind", where));
  // Kernel: the file takes its permissions from the socket, so that there is no moment in which it has others.
  if (::fchmod(made.fd(), how.mode_) != 0) throw os_error("fchmod", where.to_string(), errno);
  bind_or_replace(made.fd(), where);
  made.file_ = detail::socket_file(path_of(where));
  if (::listen(made.fd(), how.backlog_) != 0) throw os_error("listen", where.to_string(), errno);
  return made;
}

endpoint unix_listener::local() const {
  return detail::local_name(fd());
}

detail::socket::close_awaiter unix_listener::close() noexcept {
  file_.remove();
  return detail::socket::close_awaiter(socket_.share());
}

}  // namespace ringlet
