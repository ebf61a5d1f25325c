// L5 services: parses and prints socket addresses; knows sockaddr and its kin.
// SPDX-License-Identifier: MIT
#include <ringlet/endpoint.hpp>

#include <charconv>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fmt/format.h>

namespace ringlet {
namespace {

[[noreturn]] void reject(std::string_view text, const char* why) {
  throw std::invalid_argument(fmt::format("bad endpoint \"{}\": {}", text, why));
}

std::uint16_t parse_port(std::string_view port, std::string_view whole) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (error != std::errc() || end != port.data() + port.size()) reject(whole, "the port is not a number up to 65535");
  return value;
}

template <class Address>
Address read_as(const std::array<std::byte, 112>& bytes) noexcept {
  static_assert(sizeof(Address) <= sizeof bytes);
  Address address;
  std::memcpy(&address, bytes.data(), sizeof address);
  return address;
}

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

constexpr std::size_t smallest_size(int family) noexcept {
  if (family == AF_INET) return sizeof(sockaddr_in);
  return family == AF_INET6 ? sizeof(sockaddr_in6) : path_offset;
}

}  // namespace

endpoint::endpoint() {
  sockaddr_in any{};
  any.sin_family = AF_INET;
  set(&any, sizeof any);
}

endpoint::endpoint(std::string_view text) {
  if (text.starts_with("unix:")) {
    set_unix(text.substr(5));
    return;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) reject(text, "it has no port");
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    reject(text, "an IPv6 address goes in brackets, as in [::1]:80");
  }
  *this = endpoint(host, parse_port(text.substr(colon + 1), text));
}

endpoint::endpoint(std::string_view host, std::uint16_t port) {
  if (!set_numeric(host == "localhost" ? "127.0.0.1" : host, port)) {
    reject(host, "it is not a numeric address; resolve() looks names up");
  }
}

endpoint::endpoint(const sockaddr* address, std::size_t size) {
  const int family = size >= sizeof(sa_family_t) ? address->sa_family : AF_UNSPEC;
  const bool known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
  if (!known) throw std::invalid_argument("bad endpoint: an address of this family is not supported");
  const std::size_t used = family == AF_UNIX ? size : smallest_size(family);
  if (size < smallest_size(family) || used > address_.size()) {
    throw std::invalid_argument("bad endpoint: an address of this family does not have this size");
  }
  set(address, used);
}

void endpoint::set(const void* address, std::size_t size) noexcept {
  std::memcpy(address_.data(), address, size);
  size_ = size;
}

void endpoint::set_unix(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty()) reject("unix:", "the path is empty");
  const bool abstract = path.front() == '@';
  const std::size_t longest = sizeof address.sun_path - (abstract ? 0 : 1);  // an abstract name has no zero at its end
  if (path.size() > longest) reject(path, "the path of a unix-domain socket has at most 107 bytes");
  if (path.find('\0') != std::string_view::npos) reject("unix:", "the path contains a zero byte");
  std::memcpy(address.sun_path, path.data(), path.size());
  if (abstract) address.sun_path[0] = '\0';
  set(&address, path_offset + path.size() + (abstract ? 0 : 1));
}

bool endpoint::set_numeric(std::string_view host, std::uint16_t port) {
  if (host.empty() || host.find('\0') != std::string_view::npos) return false;
  const std::string text(host);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    set(&v4, sizeof v4);
  } else if (!set_v6(text.c_str())) {
    return false;
  }
  *this = with_port(port);
  return true;
}

// Why getaddrinfo and not inet_pton: it also understands the zone of a link-local address, fe80::1%eth0.
bool endpoint::set_v6(const char* host) {
  addrinfo wanted{};
  wanted.ai_flags = AI_NUMERICHOST;
  wanted.ai_family = AF_INET6;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host, nullptr, &wanted, &found) != 0) return false;
  set(found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return true;
}

std::string endpoint::host() const {
  char text[INET6_ADDRSTRLEN + 32] = "";
  if (is_unix()) {
    std::string path(reinterpret_cast<const char*>(address_.data()) + path_offset, size_ - path_offset);
    if (path.empty()) return path;  // a socket that was never bound
    if (path.front() == '\0') return "@" + path.substr(1);
    return path.substr(0, path.find('\0'));
  }
  ::getnameinfo(data(), static_cast<socklen_t>(size_), text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return text;
}

std::string endpoint::to_string() const {
  if (is_unix()) return "unix:" + host();
  if (is_v6()) return fmt::format("[{}]:{}", host(), port());
  return fmt::format("{}:{}", host(), port());
}

std::uint16_t endpoint::port() const noexcept {
  if (is_v4()) return ntohs(read_as<sockaddr_in>(address_).sin_port);
  if (is_v6()) return ntohs(read_as<sockaddr_in6>(address_).sin6_port);
  return 0;
}

endpoint endpoint::with_port(std::uint16_t port) const noexcept {
  endpoint changed = *this;
  const std::uint16_t in_network_order = htons(port);
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  if (!is_unix()) std::memcpy(changed.address_.data() + offsetof(sockaddr_in, sin_port), &in_network_order, 2);
  return changed;
}

int endpoint::family() const noexcept {
  return read_as<sockaddr>(address_).sa_family;
}
bool endpoint::is_v4() const noexcept {
  return family() == AF_INET;
}
bool endpoint::is_v6() const noexcept {
  return family() == AF_INET6;
}
bool endpoint::is_unix() const noexcept {
  return family() == AF_UNIX;
}

bool endpoint::is_loopback() const noexcept {
  if (is_v4()) return (ntohl(read_as<sockaddr_in>(address_).sin_addr.s_addr) >> 24) == 127;
  if (!is_v6()) return true;
  const auto address = read_as<sockaddr_in6>(address_).sin6_addr;
  const bool v4_inside = IN6_IS_ADDR_V4MAPPED(&address);
  return v4_inside ? address.s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(&address);
}

const sockaddr* endpoint::data() const noexcept {
  return reinterpret_cast<const sockaddr*>(address_.data());
}

bool operator==(const endpoint& a, const endpoint& b) noexcept {
  return a.size_ == b.size_ && std::memcmp(a.address_.data(), b.address_.data(), a.size_) == 0;
}

}  // namespace ringlet
