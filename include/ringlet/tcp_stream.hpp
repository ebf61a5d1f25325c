// L5 services: tcp_stream, a TCP connection; knows sockets and their addresses.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/connection.hpp>
#include <ringlet/task.hpp>

#include <string>

namespace ringlet {

/// A TCP connection. Reading and writing: see socket_stream.
class tcp_stream : public socket_stream {
 public:
  /// Takes over a connected socket.
  explicit tcp_stream(unique_fd connected) : socket_stream(std::move(connected)) {}

  /// Connects to an address. errors: os_error, "connect 127.0.0.1:80: connection refused"; nothing stays open. Where
  /// no socket can be made, it comes from the call itself, before the await.
  /// cancel: safe; a connection that was made is returned, not lost.
  static detail::connect_awaiter<tcp_stream> connect(const endpoint& to);

  /// Looks the name up off the loop and tries its addresses, each next one when the one before has failed or has taken
  /// 250 ms; gives the first connection made and closes the others.
  /// errors: resolve_error; os_error of the first address when all have failed. cancel: safe.
  /// source: RFC 8305, "happy eyeballs".
  static task<tcp_stream> connect(std::string host, std::uint16_t port);

  /// This end's address. errors: os_error.
  endpoint local() const;
  /// The other end's address. errors: os_error, also when the connection is gone.
  endpoint peer() const;

  /// Sends small writes at once (true, the default of ringlet's listeners and connects), or lets the kernel gather
  /// them. errors: os_error.
  void nodelay(bool on = true);

 private:
  friend class detail::connect_awaiter<tcp_stream>;
  using socket_stream::socket_stream;
};

}  // namespace ringlet
