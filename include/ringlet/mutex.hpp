// L3 sync: mutex, which one task at a time holds across awaits; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/late_wait.hpp>

#include <cstdint>
#include <system_error>

namespace ringlet {

/// Held by one task at a time, also while it awaits. Handed over in the order of asking.
/// threads: the loop's; it guards against other tasks, not against threads.
/// lifetime: nobody may hold it or wait for it when it is destroyed.
class mutex {
 public:
  mutex() = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;
  ~mutex() {
    RINGLET_CHECK(waits_.empty(), "a mutex was destroyed with {} tasks waiting for it", waits_.size());
    RINGLET_CHECK(holder_ == nobody, "a mutex was destroyed while task {} held it", holder_);
  }

  /// Unlocks at its end. Empty after a move, after unlock(), or from a failed try_lock().
  class [[nodiscard]] guard {
   public:
    guard() = default;
    guard(guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    guard& operator=(guard&& other) noexcept {
      std::swap(mutex_, other.mutex_);
      return *this;
    }
    // Why not unlock(): nobody looks at it any more, so it need not be emptied.
    ~guard() {
      if (mutex_ != nullptr) mutex_->hand_over();
    }

    /// True while it holds the mutex.
    explicit operator bool() const noexcept { return mutex_ != nullptr; }
    /// What it holds; null: nothing.
    mutex* held() const noexcept { return mutex_; }
    /// Hands the mutex to the task that has waited longest. Twice is no error.
    void unlock() noexcept {
      if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->hand_over();
    }

   private:
    friend class mutex;
    explicit guard(mutex& m) noexcept : mutex_(&m) {}
    mutex* mutex_ = nullptr;
  };

  class [[nodiscard]] awaiter final : public detail::late_wait<awaiter> {
   public:
    static constexpr const char* waits_to = "lock a mutex";

    explicit awaiter(mutex& m) noexcept : mutex_(m) {}
    bool await_ready() {
      if (refuse_if_cancelled()) return true;
      if (mutex_.take_if_free()) [[likely]]
        return detail::within_budget();
      if (mutex_.held_by_this_task()) throw_relock();
      return false;
    }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
      if (mutex_.held_by_this_task()) return detail::preempt(here);
      park(here, mutex_.waits_);
      return detail::next_step();
    }
    guard await_resume() const {
      throw_if_cancelled();
      return guard(mutex_);
    }

   private:
    [[noreturn]] static void throw_relock() {
      throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                              "lock: the task holds this mutex already");
    }
    mutex& mutex_;
  };

  /// Waits until the mutex is this task's; gives a guard. errors: std::system_error when this task holds it already.
  /// cancel: safe; a mutex that was handed over is given, and the cancel request seen at the next await.
  /// Inside when_any or when_all it is locked for that child, not for the caller.
  awaiter lock() noexcept { return awaiter(*this); }

  /// An empty guard when somebody holds it, or waits for it. Never suspends.
  guard try_lock() noexcept { return take_if_free() ? guard(*this) : guard(); }

  /// True when the running task has locked it.
  bool held_by_this_task() const noexcept { return holder_ == myself(); }

 private:
  static constexpr std::uint64_t nobody = 0;
  static constexpr std::uint64_t no_task = ~std::uint64_t{0};

  static std::uint64_t myself() noexcept {
    const detail::task_record* task = detail::current.task;
    return task == nullptr ? no_task : task->id();
  }

  bool take_if_free() noexcept {
    if (holder_ != nobody) return false;
    holder_ = myself();
    return true;
  }

  void hand_over() noexcept {
    holder_ = nobody;
    if (const awaiter::place* next = waits_.wake_one()) holder_ = next->waiter()->id();
  }

  // Why a number: a guard may outlive the task that locked, and a new task may lie where that one lay.
  std::uint64_t holder_ = nobody;  // nobody: free, and none waits; no_task: a posted function; else the task's number
  detail::wait_queue<awaiter::place> waits_;
};

}  // namespace ringlet
