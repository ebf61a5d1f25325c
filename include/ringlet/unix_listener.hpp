// L5 services: unix_listener, which accepts connections from this machine, at a path; knows sockets and their files.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/unix_stream.hpp>

#include <string>

namespace ringlet {

/// How a unix_listener is bound. Each setter returns the options, so that they can be chained.
class unix_listen_options {
 public:
  /// Connections the kernel keeps until they are accepted; a connect waits when there are more. default: 4,096; the
  /// kernel's own limit is net.core.somaxconn.
  unix_listen_options& backlog(int connections) noexcept {
    backlog_ = connections;
    return *this;
  }
  /// Permissions of the socket's file, from the moment when it appears; who may write may connect. The umask takes its
  /// share. default: 0600, for this user only.
  unix_listen_options& mode(unsigned permissions) noexcept {
    mode_ = permissions;
    return *this;
  }

 private:
  friend class unix_listener;
  int backlog_ = 4096;
  unsigned mode_ = 0600;
};

namespace detail {

/// A file that is removed by whoever made it, unless another one has taken its place. Nothing after a move.
class socket_file {
 public:
  socket_file() = default;
  /// Takes note of what is at this path now.
  explicit socket_file(std::string path) noexcept;
  socket_file(socket_file&& other) noexcept;
  socket_file& operator=(socket_file&& other) noexcept;
  ~socket_file() { remove(); }

  void remove() noexcept;

 private:
  std::string path_;  // empty: nothing to remove
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

}  // namespace detail

/// A listening unix-domain socket. One task at a time may accept; a second one gets an os_error (EBUSY).
/// threads: the loop's. lifetime: closes, and removes the file that bind() made, at its end; no accept() may be in
/// flight then.
class unix_listener {
 public:
  /// Takes over a listening socket, and not its file.
  explicit unix_listener(unique_fd listening) : socket_(std::move(listening)) {}
  unix_listener(unix_listener&&) = default;
  unix_listener& operator=(unix_listener&&) = default;

  /// Binds and listens at a path or an abstract name. A socket of this user at which nobody answers, as a crash leaves
  /// one behind, is replaced; any other file is left alone. errors: os_error, "bind unix:/path: address already in
  /// use"; EAFNOSUPPORT for an address of another family. Never suspends.
  static unix_listener bind(const endpoint& where, const unix_listen_options& how = {});

  /// Waits for a connection. errors: os_error; EMFILE and its like leave the connection in the kernel's queue.
  /// cancel: safe; a connection that was accepted is returned, not lost.
  detail::accept_awaiter<unix_stream> accept() noexcept { return detail::accept_awaiter<unix_stream>(*socket_); }

  /// The address it listens on. errors: os_error.
  endpoint local() const;

  /// Removes the file that bind() made and stops listening; an accept in flight ends with os_error (EBADF). Twice is
  /// no error. cancel: closes all the same.
  detail::socket::close_awaiter close() noexcept;

  /// -1 when closed.
  int fd() const noexcept { return socket_->fd(); }

 private:
  detail::socket_owner socket_;
  detail::socket_file file_;  // Why last: it goes before the socket, so that nobody finds a file that does not answer
};

}  // namespace ringlet
