// L2 scheduler: the mailbox; knows only atomics and how to wake the reactor.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/mailbox.hpp>

namespace ringlet::detail {

bool mailbox::push(remote_work& work) noexcept {
  if (!work_.push(work)) return false;
  // Invariant: the loop sets sleeping_ and then looks for work; we push and then look at sleeping_. One sees the other.
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst)) wake_loop();
  return true;
}

void mailbox::wake_loop() noexcept {
  const std::lock_guard lock(waking_);
  if (world_ != nullptr) world_->wake();
}

// Why: without its last handle a loop that waits may be in a deadlock, and should find out.
void mailbox::drop_handle() noexcept {
  if (handles_.fetch_sub(1, std::memory_order_acq_rel) == 1) wake_loop();
}

bool mailbox::fall_asleep() noexcept {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (work_.empty()) return true;
  wake_up();
  return false;
}

remote_work* mailbox::close() noexcept {
  remote_work* const left = work_.close();
  const std::lock_guard lock(waking_);
  world_ = nullptr;
  return left;
}

}  // namespace ringlet::detail
