// L2 scheduler: the mailbox; knows only atomics and how to wake the reactor.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/mailbox.hpp>

namespace ringlet::detail {
namespace {

class end_marker final : public remote_work {
 public:
  void run() noexcept override {}
};
constinit end_marker the_end;

}  // namespace

remote_work* mailbox::closed() noexcept {
  return &the_end;
}

bool mailbox::push(remote_work& work) noexcept {
  remote_work* top = top_.load(std::memory_order_relaxed);
  do {
    if (top == closed()) return false;
    work.next_ = top;
  } while (!top_.compare_exchange_weak(top, &work, std::memory_order_seq_cst, std::memory_order_relaxed));
  // Invariant: the loop sets sleeping_ and then looks at top_; we set top_ and then look at sleeping_. One sees the
  // other.
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

remote_work* mailbox::take_all() noexcept {
  return reverse(top_.exchange(nullptr, std::memory_order_acquire));
}

remote_work* mailbox::reverse(remote_work* newest) noexcept {
  remote_work* oldest = nullptr;
  while (newest != nullptr) {
    remote_work* next = newest->next_;
    newest->next_ = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

bool mailbox::fall_asleep() noexcept {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (top_.load(std::memory_order_seq_cst) == nullptr) return true;
  wake_up();
  return false;
}

remote_work* mailbox::close() noexcept {
  remote_work* newest = top_.exchange(closed(), std::memory_order_acq_rel);
  const std::lock_guard lock(waking_);
  world_ = nullptr;
  return reverse(newest);
}

}  // namespace ringlet::detail
