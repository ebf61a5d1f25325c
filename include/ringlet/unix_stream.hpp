// L5 services: unix_stream, a connection within this machine, which carries descriptors, too; knows sockets.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/connection.hpp>
#include <ringlet/detail/passage.hpp>

#include <cstdint>
#include <utility>

namespace ringlet {

namespace detail {

/// One message of a byte and a descriptor.
class [[nodiscard]] fd_sending final : public passage {
 public:
  fd_sending(socket& s, int fd) noexcept : passage(s, direction::out), fd_(fd) {}
  void await_resume() const { take_size(); }

 private:
  int pass() noexcept override;
  os_error make_error(int error) const override;

  int fd_;
};

class [[nodiscard]] fd_receiving final : public passage {
 public:
  explicit fd_receiving(socket& s) noexcept : passage(s, direction::in) {}
  fd_receiving(const fd_receiving& other) noexcept : passage(other) {}  // Why: before it begins it has no descriptor
  bool await_ready() noexcept;
  unique_fd await_resume();

 private:
  int pass() noexcept override;
  os_error make_error(int error) const override;

  unique_fd received_;
};

}  // namespace detail

/// A connection to a process on this machine, or to a task of this one. Reading and writing: see socket_stream.
class unix_stream : public socket_stream {
 public:
  /// Who is at the other end, as of the time when the connection was made.
  struct credentials {
    int pid;              ///< Its process, which may have ended.
    std::uint32_t user;   ///< The user's number.
    std::uint32_t group;  ///< The group's.
  };

  /// Takes over a connected socket.
  explicit unix_stream(unique_fd connected) : socket_stream(std::move(connected)) {}

  /// Connects to a path or an abstract name. errors: os_error, "connect unix:/path: connection refused"; for an address
  /// of another family or where no socket can be made, from the call itself, before the await.
  /// cancel: safe; a connection that was made is returned, not lost.
  static detail::connect_awaiter<unix_stream> connect(const endpoint& to);

  /// Two ends that are connected to each other; neither is given to child processes unless it is passed on to one.
  /// errors: os_error.
  static std::pair<unix_stream, unix_stream> pair();

  /// Sends a descriptor: the peer gets one of its own for the same open file. It goes with one byte, in the order of
  /// all others. errors: os_error. cancel: safe; what was sent is reported. lifetime: `fd` stays open during the await.
  /// source: unix(7), SCM_RIGHTS.
  detail::fd_sending send_fd(int fd) noexcept { return {target(), fd}; }

  /// Takes the next byte and the descriptor that came with it; no descriptor at the end of the stream. Child processes
  /// do not inherit it. For when one is due: other reads drop the descriptors in their way, and receive(), which reads
  /// ahead, may not have been used on this stream (EBUSY). errors: os_error; EBADMSG when the byte came with none or
  /// with several, which are closed. cancel: safe; what was received is returned, not lost.
  detail::fd_receiving receive_fd() noexcept { return detail::fd_receiving(target()); }

  /// This end's address; a client has one without a path. errors: os_error.
  endpoint local() const;
  /// The other end's address. errors: os_error.
  endpoint peer() const;
  /// errors: os_error. source: unix(7), SO_PEERCRED.
  credentials peer_credentials() const;

 private:
  friend class detail::connect_awaiter<unix_stream>;
  using socket_stream::socket_stream;
  detail::socket& target() const noexcept { return *observe(); }
};

}  // namespace ringlet
