// L4 io: small buffers that the kernel takes when data comes; knows liburing.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/buffer.hpp>

#include <memory>
#include <vector>

#include <liburing.h>

namespace ringlet::detail {

/// A provided buffer ring. Why few and small: what goes round quickly stays in the processor's cache.
class buffer_ring final : public buffer_pool {
 public:
  static constexpr std::uint32_t capacity = 4096;  // of a buffer
  static constexpr unsigned count = 128;
  static constexpr std::uint16_t group = 0;

  /// Null when the kernel, or the limit of locked memory, does not allow it.
  static std::unique_ptr<buffer_ring, abandon_pool> make(io_uring& ring);

  /// The buffer that the kernel has filled.
  buffer& filled(unsigned number, std::uint32_t size) noexcept {
    buffer& b = buffers_[number];
    b.data = place_of(number);
    b.size = size;
    lend(b);
    return b;
  }

 private:
  struct unmap {
    std::size_t size;
    void operator()(void* memory) const noexcept;
  };
  using mapping = std::unique_ptr<void, unmap>;

  explicit buffer_ring(mapping memory);
  ~buffer_ring() override = default;
  void recycle(buffer& b) noexcept override;
  void discard(buffer&) noexcept override {}

  std::byte* place_of(unsigned number) const noexcept {
    return static_cast<std::byte*>(memory_.get()) + entries_size + std::size_t{number} * capacity;
  }

  static constexpr std::size_t entries_size = 4096;
  static constexpr std::size_t mapping_size = entries_size + std::size_t{count} * capacity;

  mapping memory_;  // the ring's entries, and on the next page the buffers
  io_uring_buf_ring* entries_;
  std::vector<buffer> buffers_;
};

}  // namespace ringlet::detail
