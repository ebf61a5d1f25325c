// L5 services: endpoint, an address that sockets bind and connect to; knows socket addresses.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

struct sockaddr;

namespace ringlet {

/// An IPv4, IPv6 or unix-domain socket address. Names are not looked up here, with the exception of "localhost",
/// which always is 127.0.0.1; see resolve().
class endpoint {
 public:
  /// The IPv4 address 0.0.0.0 and port 0: any address, any free port.
  endpoint();

  /// Parses "127.0.0.1:80", "[::1]:80", "localhost:80", "unix:/path" or "unix:@abstract".
  /// errors: std::invalid_argument.
  explicit endpoint(std::string_view text);

  /// host: a numeric address, or "localhost". errors: std::invalid_argument.
  endpoint(std::string_view host, std::uint16_t port);

  /// From the system's form. units of size: bytes. errors: std::invalid_argument.
  endpoint(const sockaddr* address, std::size_t size);

  /// As parsed: "127.0.0.1:80", "[::1]:80", "unix:/path".
  std::string to_string() const;

  /// The address without the port; the path for a unix-domain socket.
  std::string host() const;

  /// 0 for a unix-domain socket.
  std::uint16_t port() const noexcept;
  /// The same address with another port; a unix-domain socket has none and stays as it is.
  endpoint with_port(std::uint16_t port) const noexcept;

  /// True for an IPv4 address.
  bool is_v4() const noexcept;
  /// True for an IPv6 address, also for one that stands for an IPv4 one.
  bool is_v6() const noexcept;
  /// True for a unix-domain socket, with a path or abstract.
  bool is_unix() const noexcept;
  /// True when only this machine can reach it: 127.0.0.0/8 (inside an IPv6 address, too), ::1, or a unix-domain
  /// socket.
  bool is_loopback() const noexcept;

  /// AF_INET, AF_INET6 or AF_UNIX.
  int family() const noexcept;
  /// The system's form, size() bytes long. lifetime: as long as the endpoint, and until it is assigned to.
  const sockaddr* data() const noexcept;
  /// Length of the system's form. units: bytes.
  std::size_t size() const noexcept { return size_; }

  /// True for the same address and port; names do not come into it.
  friend bool operator==(const endpoint& a, const endpoint& b) noexcept;

 private:
  void set(const void* address, std::size_t size) noexcept;
  void set_unix(std::string_view path);
  bool set_numeric(std::string_view host, std::uint16_t port);
  bool set_v6(const char* host);

  alignas(8) std::array<std::byte, 112> address_{};  // large enough for sockaddr_un
  std::size_t size_ = 0;
};

}  // namespace ringlet
