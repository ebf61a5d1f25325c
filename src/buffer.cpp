// L4 io: the large buffers; knows only the language.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/buffer.hpp>

namespace ringlet::detail {

buffer& large_buffers::take() {
  buffer* taken = spare_.pop_front();
  if (taken != nullptr) {
    --spare_count_;
  } else {
    taken = new large_buffer(*this);
  }
  taken->data = static_cast<large_buffer*>(taken)->memory;
  taken->size = 0;
  lend(*taken);
  return *taken;
}

large_buffers::~large_buffers() {
  while (buffer* b = spare_.pop_front()) discard(*b);
}

void large_buffers::recycle(buffer& b) noexcept {
  if (spare_count_ == most_kept) return discard(b);
  spare_.push_front(b);
  ++spare_count_;
}

void large_buffers::discard(buffer& b) noexcept {
  delete static_cast<large_buffer*>(&b);
}

}  // namespace ringlet::detail
