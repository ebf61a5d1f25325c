// L4 io: the provided buffer ring; knows liburing.
// SPDX-License-Identifier: MIT
#include "buffer_ring.hpp"

#include "abi.hpp"

#include <sys/mman.h>

namespace ringlet::detail {

void buffer_ring::unmap::operator()(void* memory) const noexcept {
  ::munmap(memory, size);
}

std::unique_ptr<buffer_ring, abandon_pool> buffer_ring::make(io_uring& ring) {
  static_assert(count * sizeof(io_uring_buf) <= entries_size);
  void* at = ::mmap(nullptr, mapping_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  mapping memory(at, {mapping_size});
  io_uring_buf_reg request{};
  request.ring_addr = reinterpret_cast<std::uintptr_t>(at);
  request.ring_entries = count;
  request.bgid = group;
  if (io_uring_register_buf_ring(&ring, &request, 0) != 0) return nullptr;
  return std::unique_ptr<buffer_ring, abandon_pool>(new buffer_ring(std::move(memory)));
}

buffer_ring::buffer_ring(mapping memory)
    : memory_(std::move(memory)),
      entries_(static_cast<io_uring_buf_ring*>(memory_.get())),
      buffers_(count, buffer(*this)) {
  io_uring_buf_ring_init(entries_);
  for (buffer& b : buffers_) recycle(b);
}

void buffer_ring::recycle(buffer& b) noexcept {
  const auto number = static_cast<unsigned>(&b - buffers_.data());
  io_uring_buf_ring_add(entries_, place_of(number), capacity, static_cast<unsigned short>(number),
                        io_uring_buf_ring_mask(count), 0);
  io_uring_buf_ring_advance(entries_, 1);
}

}  // namespace ringlet::detail
