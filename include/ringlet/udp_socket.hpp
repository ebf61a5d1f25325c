// L5 services: udp_socket, which sends and receives datagrams; knows sockets and their addresses.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/passage.hpp>
#include <ringlet/endpoint.hpp>

#include <optional>

namespace ringlet {

/// How a UDP socket is bound. Each setter returns the options, so that they can be chained.
class udp_options {
 public:
  /// Lets several sockets have one address when all of them say so; what is sent to it, one of them gets. default: off.
  udp_options& reuse_address(bool on = true) noexcept {
    reuse_address_ = on;
    return *this;
  }
  /// The same, but the kernel spreads what is sent there over them, by sender. default: off.
  udp_options& reuse_port(bool on = true) noexcept {
    reuse_port_ = on;
    return *this;
  }
  /// Lets an IPv6 socket send to and receive from IPv4 addresses too; as peers these look like [::ffff:127.0.0.1]:80.
  /// default: off.
  udp_options& dual_stack(bool on = true) noexcept {
    dual_stack_ = on;
    return *this;
  }
  /// Lets it send to a network's broadcast address, which is EACCES otherwise. default: off.
  udp_options& broadcast(bool on = true) noexcept {
    broadcast_ = on;
    return *this;
  }
  /// Kernel memory for what has come and nobody has received; what finds no room in it is lost. units: bytes, of which
  /// Linux takes twice as many, up to net.core.rmem_max. default: the kernel's own, net.core.rmem_default.
  udp_options& receive_buffer(int size) noexcept {
    receive_buffer_ = size;
    return *this;
  }

 private:
  friend class udp_socket;
  int receive_buffer_ = 0;  // 0: the kernel's
  bool reuse_address_ = false;
  bool reuse_port_ = false;
  bool dual_stack_ = false;
  bool broadcast_ = false;
};

/// What was received at once, and from whom. May be empty: that is a datagram, too, and not the end of anything.
/// lifetime: the bytes are those of the buffer that was given.
class datagram {
 public:
  /// For udp_socket.
  datagram(std::span<const std::byte> bytes, bool truncated, const endpoint& peer) noexcept
      : bytes_(bytes), peer_(peer), truncated_(truncated) {}

  /// How much is in the buffer. units: bytes.
  std::size_t size() const noexcept { return bytes_.size(); }
  /// True when it was longer than the buffer; the rest is lost.
  bool truncated() const noexcept { return truncated_; }
  /// Who sent it.
  const endpoint& peer() const noexcept { return peer_; }
  /// The part of the buffer that it fills.
  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  /// The same bytes as characters.
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(bytes_.data()), size()}; }

 private:
  std::span<const std::byte> bytes_;
  endpoint peer_;
  bool truncated_;
};

namespace detail {

class [[nodiscard]] datagram_sending final : public passage {
 public:
  /// to: none for a connected socket.
  datagram_sending(socket& s, std::span<const std::byte> bytes, const std::optional<endpoint>& to) noexcept
      : passage(s, direction::out), bytes_(bytes), to_(to) {}
  void await_resume() const { take_size(); }

 private:
  int pass() noexcept override;
  os_error make_error(int error) const override;

  std::span<const std::byte> bytes_;
  std::optional<endpoint> to_;
};

class [[nodiscard]] datagram_receiving final : public passage {
 public:
  datagram_receiving(socket& s, std::span<std::byte> to) noexcept : passage(s, direction::in), to_(to) {}
  datagram await_resume() const;

 private:
  int pass() noexcept override;
  os_error make_error(int error) const override;

  std::span<std::byte> to_;
  alignas(8) std::array<std::byte, 112> peer_;  // as the system has it; large enough for what an endpoint takes
  std::size_t peer_size_ = 0;
};

}  // namespace detail

/// A UDP socket. One task may receive while another sends; a second one of either gets an os_error (EBUSY). A simulated
/// world has none. threads: the loop's. lifetime: closes at its end; no operation may be in flight then.
class udp_socket {
 public:
  /// Takes over a UDP socket.
  explicit udp_socket(unique_fd fd) : socket_(std::move(fd)) {}

  /// A socket that receives what is sent to `where`; port 0 takes a free one.
  /// errors: os_error, "bind 127.0.0.1:53: permission denied". suspends: never.
  static udp_socket bind(const endpoint& where, const udp_options& how = {});

  /// A socket with a free port of its own for one peer: it sends to that one, and receives from that one only. Nothing
  /// is sent by it, and nobody need be there. errors: os_error, "connect 192.0.2.1:53: network is unreachable".
  /// suspends: never.
  static udp_socket connect(const endpoint& to);

  /// Sends one datagram, which may be empty; waits only for the kernel to have room. That it arrives, nobody says.
  /// errors: os_error, "send to 127.0.0.1:53: message too long": EMSGSIZE for more than 65,507 bytes, or fewer than
  /// that where the way does not take as much. cancel: safe; what was sent is reported.
  /// lifetime: `bytes` outlive the await.
  detail::datagram_sending send_to(std::span<const std::byte> bytes, const endpoint& to) noexcept {
    return {*socket_, bytes, to};
  }
  detail::datagram_sending send_to(std::string_view text, const endpoint& to) noexcept {
    return send_to(std::as_bytes(std::span(text)), to);
  }

  /// The same to the peer of a connected socket. errors: also ECONNREFUSED, once: nobody was there to take one that was
  /// sent before. This one was not sent then, and the socket can be used on.
  detail::datagram_sending send(std::span<const std::byte> bytes) noexcept { return {*socket_, bytes, std::nullopt}; }
  detail::datagram_sending send(std::string_view text) noexcept { return send(std::as_bytes(std::span(text))); }

  /// Receives one datagram, as much of it as `to` has room for, and says whether that was all. errors: os_error; of a
  /// connected socket ECONNREFUSED, as in send(). cancel: safe; what was received is returned, not lost.
  /// lifetime: `to` outlives the await, and what it gives.
  detail::datagram_receiving receive(std::span<std::byte> to) noexcept { return {*socket_, to}; }

  /// This end's address, with the port it got. errors: os_error.
  endpoint local() const;
  /// The peer of a connected socket. errors: os_error (ENOTCONN when it has none).
  endpoint peer() const;

  /// Closes now: operations in flight end with os_error (EBADF), and are awaited first. Twice is no error.
  /// cancel: closes all the same.
  detail::socket::close_awaiter close() noexcept { return detail::socket::close_awaiter(socket_.share()); }

  /// -1 when closed.
  int fd() const noexcept { return socket_->fd(); }

 private:
  detail::socket_owner socket_;
};

}  // namespace ringlet
