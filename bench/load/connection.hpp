// Bench: one connection of the load generator; knows what it has sent and checks every byte that comes back.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/// Bytes without a short period, of which any 64 KiB piece is contiguous.
class pattern {
 public:
  static constexpr std::size_t longest_piece = 64 * 1024;

  pattern();
  const std::byte* from(std::uint64_t position) const noexcept { return bytes_.data() + position % period; }

 private:
  static constexpr std::size_t period = 65521;
  std::vector<std::byte> bytes_;
};

/// A TCP connection to the server on this port of 127.0.0.1. Neither send() nor receive() blocks.
class connection {
 public:
  /// number: also decides the source address, so that ports in TIME_WAIT do not run out. errors: std::system_error.
  connection(std::uint16_t port, std::uint32_t number);
  connection(connection&& other) noexcept;
  connection& operator=(connection&& other) noexcept;
  ~connection();

  int fd() const noexcept { return fd_; }

  /// Allows so many bytes more to be sent.
  void grant(std::uint64_t bytes) noexcept { granted_ += bytes; }

  /// Sends what is granted and what the kernel takes. errors: std::system_error.
  void send(const pattern& text);

  /// Receives what is there and compares it. errors: std::runtime_error on a wrong byte or an early end.
  void receive(const pattern& text);

  std::uint64_t received() const noexcept { return received_; }
  bool settled() const noexcept { return received_ == granted_; }

  /// Waits, at most ten seconds, until everything granted has come back. errors: as send and receive.
  void exchange(const pattern& text);

 private:
  std::uint64_t position(std::uint64_t offset) const noexcept { return first_ + offset; }
  void compare(const pattern& text, const std::byte* got, std::size_t size);

  int fd_ = -1;  // -1: closed
  std::uint64_t first_ = 0;
  std::uint64_t granted_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace bench
