// L1 coroutine types: the values that task_local has bound for a task, and who shares them; knows only task records.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/execution.hpp>
#include <ringlet/detail/frame_pool.hpp>

#include <cstdint>
#include <utility>

namespace ringlet::detail {

/// A value that was bound in a task, linked to the one bound before it. It never changes, so tasks share it: those that
/// were spawned meanwhile begin their lists with it.
/// Invariant: counted once for each task whose list begins here, and for each newer value that is linked to it.
class bound_value : public pooled {
 public:
  bound_value(const bound_value&) = delete;
  bound_value& operator=(const bound_value&) = delete;
  virtual ~bound_value() = default;

  /// The running task sees it from now on, first of all.
  void begin() noexcept;
  /// No more, and goes if nobody else sees it. In the same task, the last one first.
  void end() noexcept;

  /// The newest that the running task sees for this key; null: none, or there is no task.
  static const bound_value* find(std::uint64_t key) noexcept {
    const bound_value* at = current.task != nullptr ? current.task->bound() : nullptr;
    while (at != nullptr && at->key_ != key) at = at->older_;
    return at;
  }

  /// A task that is spawned now sees what the running task sees.
  static void inherit(task_record& spawned) noexcept {
    if (current.task != nullptr && current.task->bound() != nullptr) [[unlikely]]
      spawned.bind(current.task->bound()->share());
  }
  /// The task has ended and sees nothing any more.
  static void forget(task_record& ended) noexcept {
    if (ended.bound() != nullptr) [[unlikely]]
      drop(ended.bind(nullptr));
  }

  /// One for each task_local. Why not its address: that may be another one's later. threads: any.
  static std::uint64_t new_key() noexcept;

 protected:
  explicit bound_value(std::uint64_t key) noexcept : key_(key) {}

 private:
  bound_value* share() noexcept {
    ++count_;
    return this;
  }
  static void drop(bound_value* first) noexcept;

  std::uint64_t key_;
  bound_value* older_ = nullptr;  // null: the oldest
  std::size_t count_ = 1;
};

}  // namespace ringlet::detail
