// L2 scheduler: the world as the scheduler sees it; knows neither descriptors nor io_uring.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/execution.hpp>
#include <ringlet/time.hpp>

#include <cstddef>
#include <cstdint>

namespace ringlet::detail {

/// What the world's side of the loop counts.
struct reactor_counters {
  std::uint64_t enters = 0;        // system calls that submit or wait
  std::uint64_t submitted = 0;     // submission queue entries
  std::uint64_t completed = 0;     // completion queue entries
  std::uint64_t cq_overflows = 0;  // times the completion queue was too small
};

class reactor {
 public:
  /// Hands what is queued to the kernel and makes the tasks ready whose operations have completed.
  /// Blocks until something completed, wake() was called or the deadline is past; `long_ago`: does not block.
  /// May return early. Never runs user code.
  virtual void wait(time_point deadline) noexcept = 0;

  /// Ends a wait that is under way, or the next one. threads: any.
  virtual void wake() noexcept = 0;

  /// Operations that will complete some day: as long as there are any, no task waits in vain.
  virtual std::size_t in_flight() const noexcept = 0;

  /// in_flight() > 0, found out sooner.
  virtual bool expects_completion() const noexcept { return in_flight() > 0; }

  virtual const reactor_counters& counters() const noexcept = 0;

  /// wait(long_ago) would find nothing to do. False until the world has said so by calm_down().
  bool is_quiet() const noexcept { return quiet_ && (*flags_ & flags_set_by_news_) == 0; }

  /// The loop's thread is this one, wherever the world was made.
  void serve_this_thread() noexcept { thread_ = &current; }

  /// What changes by itself when there is something to look at.
  const volatile unsigned& flags() const noexcept { return *flags_; }
  unsigned flags_set_by_news() const noexcept { return flags_set_by_news_; }

 protected:
  reactor() = default;
  /// For a world that changes by itself, outside of wait().
  void tell_news_by(const volatile unsigned& flags, unsigned set_by_news) noexcept {
    flags_ = &flags;
    flags_set_by_news_ = set_by_news;
  }
  ~reactor() = default;

  /// From inside wait(): nothing is left to hand over or to look at.
  void calm_down() noexcept { quiet_ = true; }
  /// There is something to do in the next wait().
  void stir() noexcept {
    quiet_ = false;
    thread_->loop_wanted = true;
  }

 private:
  static constexpr unsigned no_flags = 0;

  execution* thread_ = &current;  // Why not current itself: to find it is a call where the code may end up shared
  bool quiet_ = false;
  const volatile unsigned* flags_ = &no_flags;
  unsigned flags_set_by_news_ = 0;
};

}  // namespace ringlet::detail
