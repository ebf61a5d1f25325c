// Test kit: the bytes that tests send, and a check that they come back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kit {

/// The byte that belongs at a place of a stream, so that none can be lost, doubled or moved unseen.
inline std::byte byte_at(std::uint64_t place) noexcept {
  return static_cast<std::byte>((place + 1) * 0x9e3779b97f4a7c15u >> 40);
}

/// What belongs from place `from` on.
inline std::string pattern(std::size_t size, std::uint64_t from = 0) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(byte_at(from++));
  return text;
}

/// Compares what comes in with the pattern.
class checked_bytes {
 public:
  void add(std::span<const std::byte> received) noexcept {
    for (const std::byte b : received) wrong_ += b != byte_at(count_++) ? 1 : 0;
  }
  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t wrong() const noexcept { return wrong_; }

 private:
  std::uint64_t count_ = 0;
  std::uint64_t wrong_ = 0;
};

}  // namespace kit
