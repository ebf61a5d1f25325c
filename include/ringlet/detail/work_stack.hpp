// L2 scheduler: a stack of work that any thread may push to; knows only atomics.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/remote_work.hpp>

#include <atomic>

namespace ringlet::detail {

/// Who takes, takes everything at once, and gets it in the order of pushing. Whoever sets a flag and then looks here,
/// and whoever pushes and then looks at that flag: one of the two sees the other.
/// threads: any may push; one at a time may take and close.
class work_stack {
 public:
  /// False when the stack is closed; the work then stays the caller's.
  bool push(remote_work& work) noexcept;

  /// False also when the stack is closed. threads: any.
  bool empty() const noexcept { return top().load(std::memory_order_seq_cst) == nullptr; }

  /// Holds null while the stack is empty, for who looks again and again, by an atomic load. threads: any.
  remote_work* const& place_of_top() const noexcept { return top_; }

  /// Everything pushed so far, oldest first; null: nothing, also when the stack is closed.
  remote_work* take_all() noexcept;

  /// Refuses all further work; gives what was pushed before, oldest first. Once only.
  remote_work* close() noexcept;

 private:
  static remote_work* closed() noexcept;
  static remote_work* reverse(remote_work* newest) noexcept;

  std::atomic_ref<remote_work*> top() const noexcept { return std::atomic_ref(top_); }

  mutable remote_work* top_ = nullptr;  // null: empty; closed(): nobody takes any more; else the newest
};

}  // namespace ringlet::detail
