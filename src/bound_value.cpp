// L1 coroutine types: how bound values begin, end and go; knows only task records.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/bound_value.hpp>

#include <atomic>

namespace ringlet::detail {

void bound_value::begin() noexcept {
  RINGLET_CHECK(current.task != nullptr, "a task_local was bound outside of a task");
  older_ = current.task->bind(this);
}

void bound_value::end() noexcept {
  RINGLET_CHECK(current.task != nullptr && current.task->bound() == this,
                "a task_local binding must end in the task where it began, and the last one first");
  current.task->bind(older_ != nullptr ? older_->share() : nullptr);
  drop(this);
}

// Why a loop: the list may be long.
void bound_value::drop(bound_value* first) noexcept {
  while (first != nullptr && --first->count_ == 0) delete std::exchange(first, first->older_);
}

std::uint64_t bound_value::new_key() noexcept {
  static constinit std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace ringlet::detail
