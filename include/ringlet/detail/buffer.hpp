// L4 io: memory that was received into, and the pools it comes from; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/intrusive.hpp>

#include <cstddef>
#include <cstdint>

namespace ringlet::detail {

class buffer_pool;

/// Memory of a pool, with something received in it.
struct buffer {
  explicit buffer(buffer_pool& from) noexcept : home(&from) {}

  std::byte* data = nullptr;  // what was received and is not yet taken
  std::uint32_t size = 0;     // units: bytes
  buffer* next = nullptr;     // link of the list it is in
  buffer_pool* home;
};

using buffer_list = intrusive_queue<buffer, &buffer::next>;

/// Lends buffers. It lives as long as its owner or the last buffer on loan, whichever is longer.
class buffer_pool {
 public:
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;

  void give_back(buffer& b) noexcept {
    --on_loan_;
    if (has_owner_) return recycle(b);
    discard(b);
    if (on_loan_ == 0) delete this;
  }

  /// The owner needs it no more.
  void abandon() noexcept {
    has_owner_ = false;
    if (on_loan_ == 0) delete this;
  }

 protected:
  buffer_pool() = default;
  virtual ~buffer_pool() = default;

  void lend(const buffer&) noexcept { ++on_loan_; }

 private:
  virtual void recycle(buffer& b) noexcept = 0;
  virtual void discard(buffer& b) noexcept = 0;

  std::size_t on_loan_ = 0;
  bool has_owner_ = true;
};

/// What an owner has of its pool.
struct abandon_pool {
  void operator()(buffer_pool* pool) const noexcept { pool->abandon(); }
};

/// Large buffers, made when needed. Why a stack: what was used last is still in the processor's cache.
class large_buffers final : public buffer_pool {
 public:
  static constexpr std::uint32_t capacity = 64 * 1024;

  /// errors: std::bad_alloc.
  buffer& take();

 private:
  struct large_buffer : buffer {
    using buffer::buffer;
    std::byte memory[capacity];
  };

  ~large_buffers() override;
  void recycle(buffer& b) noexcept override;
  void discard(buffer& b) noexcept override;

  static constexpr std::size_t most_kept = 64;
  buffer_list spare_;
  std::size_t spare_count_ = 0;
};

}  // namespace ringlet::detail
