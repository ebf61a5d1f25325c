// L2 scheduler: work that other threads hand to the loop; knows only atomics and how to wake the reactor.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/reactor.hpp>
#include <ringlet/detail/work_stack.hpp>

#include <atomic>
#include <mutex>

namespace ringlet::detail {

/// A stack that wakes the loop which takes from it.
/// Why counted references: a poster may come late, when the loop has ended; it is then told so.
class mailbox {
 public:
  explicit mailbox(reactor& world) noexcept : world_(&world) {}

  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  /// False when the loop has ended; the work then stays the caller's. threads: any.
  bool push(remote_work& work) noexcept;

  /// Everything pushed so far, oldest first. threads: the loop's.
  remote_work* take_all() noexcept { return work_.take_all(); }

  /// Holds null while it is empty, for who looks again and again, by an atomic load. threads: the loop's.
  remote_work* const& place_of_top() const noexcept { return work_.place_of_top(); }

  bool empty() const noexcept { return work_.empty(); }

  /// Says that the loop is about to block. False: do not, there is work. threads: the loop's.
  bool fall_asleep() noexcept;
  void wake_up() noexcept { sleeping_.store(false, std::memory_order_relaxed); }

  /// Refuses all further work; gives what was pushed before, oldest first. Once only. threads: the loop's.
  remote_work* close() noexcept;

  /// Counts the handles through which the loop may be woken at any time. threads: any.
  void add_handle() noexcept { handles_.fetch_add(1, std::memory_order_relaxed); }
  void drop_handle() noexcept;
  bool has_handles() const noexcept { return handles_.load(std::memory_order_acquire) > 0; }

 private:
  ~mailbox() = default;
  void wake_loop() noexcept;

  std::atomic<int> references_{1};
  std::atomic<int> handles_{0};
  work_stack work_;
  std::atomic<bool> sleeping_{false};  // the loop blocks, or is about to: a push must wake it
  std::mutex waking_;
  reactor* world_;  // null: the loop has ended; guarded by waking_
};

}  // namespace ringlet::detail
