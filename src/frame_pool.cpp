// L1 coroutine types: gives the kept frames back; knows only operator delete.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/frame_pool.hpp>

namespace ringlet::detail {

void frame_pool::set_room(std::size_t bytes) noexcept {
  room_ = bytes;
  for (block*& list : free_) {
    while (list != nullptr) {
      block* first = list;
      list = first->next;
      ::operator delete(first);
    }
  }
}

}  // namespace ringlet::detail
