// L2 scheduler: how work is pushed, taken and put in order; knows only atomics.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/work_stack.hpp>

namespace ringlet::detail {
namespace {

class end_marker final : public remote_work {
 public:
  void run() noexcept override {}
};
constinit end_marker the_end;

}  // namespace

remote_work* work_stack::closed() noexcept {
  return &the_end;
}

bool work_stack::push(remote_work& work) noexcept {
  remote_work* newest = top().load(std::memory_order_relaxed);
  do {
    if (newest == closed()) return false;
    work.next_ = newest;
  } while (!top().compare_exchange_weak(newest, &work, std::memory_order_seq_cst, std::memory_order_relaxed));
  return true;
}

remote_work* work_stack::take_all() noexcept {
  const remote_work* const newest = top().load(std::memory_order_seq_cst);
  if (newest == nullptr || newest == closed()) return nullptr;
  return reverse(top().exchange(nullptr, std::memory_order_acquire));
}

remote_work* work_stack::close() noexcept {
  return reverse(top().exchange(closed(), std::memory_order_acq_rel));
}

remote_work* work_stack::reverse(remote_work* newest) noexcept {
  remote_work* oldest = nullptr;
  while (newest != nullptr) {
    remote_work* next = newest->next_;
    newest->next_ = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

}  // namespace ringlet::detail
