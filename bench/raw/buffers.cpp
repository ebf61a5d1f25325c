// Bench: a ring of buffers that the kernel fills, used whole or piece by piece.
// SPDX-License-Identifier: MIT
#include "buffers.hpp"

#include <cerrno>
#include <system_error>

#include <sys/mman.h>

namespace bench {

namespace {

// Kernel 6.12: these stand in no header of liburing 2.3.
constexpr unsigned short buffers_are_incremental = 2;
constexpr unsigned buffer_goes_on = 1U << 4;

static_assert(offsetof(io_uring_buf_ring, bufs) == 0, "include only liburing's own header");

void* map(std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::system_category(), "mmap");
  return memory;
}

}  // namespace

buffer_ring::buffer_ring(ring& r, unsigned count, unsigned size, bool incremental)
    : count_(count), size_(size), incremental_(incremental), states_(count) {
  shared_ = static_cast<io_uring_buf_ring*>(map(count * sizeof(io_uring_buf)));
  memory_ = static_cast<std::byte*>(map(std::size_t{count} * size));
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(shared_);
  registration.ring_entries = count;
  registration.bgid = group;
  registration.pad = incremental ? buffers_are_incremental : 0;
  const int result = io_uring_register_buf_ring(&r.native(), &registration, 0);
  if (result < 0) throw std::system_error(-result, std::system_category(), "io_uring_register_buf_ring");
  io_uring_buf_ring_init(shared_);
  for (unsigned i = 0; i < count; ++i) give(i);
  publish();
}

buffer_ring::~buffer_ring() {
  munmap(shared_, count_ * sizeof(io_uring_buf));
  munmap(memory_, std::size_t{count_} * size_);
}

const std::byte* buffer_ring::take(const io_uring_cqe& cqe) {
  const unsigned buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  state& s = states_[buffer];
  const std::byte* bytes = start(buffer) + s.used;
  s.used += static_cast<unsigned>(cqe.res);
  s.full = !incremental_ || (cqe.flags & buffer_goes_on) == 0;
  ++s.takers;
  return bytes;
}

void buffer_ring::release(unsigned buffer) {
  state& s = states_[buffer];
  if (--s.takers == 0 && s.full) give(buffer);
}

void buffer_ring::give(unsigned buffer) {
  states_[buffer] = state();
  const int mask = io_uring_buf_ring_mask(count_);
  io_uring_buf_ring_add(shared_, start(buffer), size_, static_cast<unsigned short>(buffer), mask, given_++);
}

bool buffer_ring::publish() {
  if (given_ == 0) return false;
  io_uring_buf_ring_advance(shared_, given_);
  given_ = 0;
  return true;
}

}  // namespace bench
