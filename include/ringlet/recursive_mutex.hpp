// L3 sync: recursive mutexes, which a task may lock again while it holds them; knows the mutex.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/mutex.hpp>

#include <cstddef>
#include <utility>

namespace ringlet {

/// As mutex, but the task that holds it may lock it again; it is free once each of these guards is gone.
/// threads: the loop's. lifetime: nobody may hold it or wait for it when it is destroyed.
class recursive_mutex {
 public:
  recursive_mutex() = default;
  recursive_mutex(const recursive_mutex&) = delete;
  recursive_mutex& operator=(const recursive_mutex&) = delete;
  ~recursive_mutex() { RINGLET_CHECK(depth_ == 0, "a recursive mutex was destroyed with {} guards on it", depth_); }

  /// Unlocks once at its end. Empty after a move, after unlock(), or from a failed try_lock().
  class [[nodiscard]] guard {
   public:
    guard() = default;
    guard(guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    guard& operator=(guard&& other) noexcept {
      std::swap(mutex_, other.mutex_);
      return *this;
    }
    ~guard() { unlock(); }

    /// True while it holds the mutex.
    explicit operator bool() const noexcept { return mutex_ != nullptr; }
    /// Takes back one lock(); the last one hands the mutex to the task that has waited longest. Twice is no error.
    void unlock() noexcept {
      if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->leave();
    }

   private:
    friend class recursive_mutex;
    explicit guard(recursive_mutex& m) noexcept : mutex_(&m) {}
    recursive_mutex* mutex_ = nullptr;
  };

  /// Waits until the mutex is this task's, if it is not yet; gives a guard.
  /// cancel: safe; a mutex that was handed over is given, and the cancel request seen at the next await.
  task<guard> lock() {
    if (mutex_.held_by_this_task()) {
      guard again = enter();  // Why first: whoever has the others may let go of them while this task lets others run
      co_await checkpoint();
      co_return again;
    }
    held_ = co_await mutex_.lock();
    co_return enter();
  }

  /// An empty guard when another task holds it, or waits for it. Never suspends.
  guard try_lock() noexcept {
    if (mutex_.held_by_this_task()) return enter();
    mutex::guard locked = mutex_.try_lock();
    if (!locked) return guard();
    held_ = std::move(locked);
    return enter();
  }

 private:
  guard enter() noexcept {
    ++depth_;
    return guard(*this);
  }
  void leave() noexcept {
    if (--depth_ == 0) held_.unlock();
  }

  mutex mutex_;
  mutex::guard held_;  // by the task whose guards are counted; empty: nobody's
  std::size_t depth_ = 0;
};

}  // namespace ringlet
