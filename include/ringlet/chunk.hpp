// L4 io: chunk, a lease on received bytes; knows the pools they lie in.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/buffer.hpp>

#include <span>
#include <string_view>
#include <utility>

namespace ringlet {

/// Bytes that were received, where the kernel put them. Gives the memory back at its end: soon is best, because a loop
/// has little of it, and what is used again at once is still in the cache. threads: the loop's.
/// lifetime: may outlive its stream, and run().
class chunk {
 public:
  /// Empty: the end of a stream.
  chunk() = default;
  /// For streams.
  explicit chunk(detail::buffer& received) noexcept : buffer_(&received) {}
  chunk(chunk&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  chunk& operator=(chunk&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~chunk() {
    if (buffer_ != nullptr) buffer_->home->give_back(*buffer_);
  }

  /// Null when empty. lifetime: as long as the chunk.
  const std::byte* data() const noexcept { return bytes().data(); }
  /// units: bytes.
  std::size_t size() const noexcept { return buffer_ != nullptr ? buffer_->size : 0; }

  /// True at the end of a stream.
  bool empty() const noexcept { return size() == 0; }
  /// True until the end of a stream: `while (const chunk received = co_await client.receive())`.
  explicit operator bool() const noexcept { return !empty(); }

  /// lifetime: as long as the chunk.
  std::span<const std::byte> bytes() const noexcept {
    if (buffer_ == nullptr) return {};
    return {buffer_->data, buffer_->size};
  }
  /// The same, for functions that take a span.
  operator std::span<const std::byte>() const noexcept { return bytes(); }

  /// The same bytes as characters. lifetime: as long as the chunk.
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(bytes().data()), size()}; }

 private:
  detail::buffer* buffer_ = nullptr;  // null: empty
};

}  // namespace ringlet
