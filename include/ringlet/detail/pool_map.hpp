// L5 services: one function for many items, on a thread pool; knows the pool and the scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/pool_job.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/task.hpp>

#include <cstddef>
#include <vector>

namespace ringlet::detail {

/// Awaits f(item) for all items. Each is a job of its own; the last one that comes home wakes the task.
template <class F, class Item>
class [[nodiscard]] map_awaiter final : public wait {
  using call = pool_call<F, Item>;

 public:
  using result_type = stored<typename call::result_type>;

  template <class Range>
  map_awaiter(thread_pool_queue& pool, const F& f, const Range& items) : pool_(&pool) {
    for (const auto& item : items) parts_.emplace_back(f, item);
  }

  bool await_ready() noexcept {
    cancelled_ = cancel_requested();
    return cancelled_ || parts_.empty();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    for (part& each : parts_) begin(each);
    if (left_ == 0) return transfer(here);
    park(here, *this);
    return next_step();
  }
  bool await_cancelled() noexcept { return cancelled_ && !error_; }
  std::vector<result_type> await_resume() {
    if (error_) std::rethrow_exception(error_);
    if (cancelled_) throw ringlet::cancelled{};
    std::vector<result_type> values;
    values.reserve(parts_.size());
    for (part& each : parts_) values.push_back(take_stored(each.result));
    return values;
  }

  // What has not begun never will; what runs is told, and awaited.
  void cancel() noexcept override {
    if (stopping_) return;
    if (stop()) cancelled_ = true;
    if (left_ == 0) this_loop().wake(*waiter());
  }
  wait_text describe() const noexcept override { return {"map items on a thread pool"}; }

 private:
  class part final : public pool_job {
   public:
    part(const F& f, const Item& item) : function(f, item) {}

    void execute() noexcept override { function.run_into(result); }
    void run() noexcept override { whole->came_home(*this); }

    map_awaiter* whole = nullptr;  // null: not in the pool, or taken back
    call function;
    outcome<typename call::result_type> result;
  };

  void begin(part& p) noexcept {
    if (stopping_) return;
    p.whole = this;
    try {
      submit_job(*pool_, p);
      ++left_;
      this_loop().offload_began();
    } catch (...) {
      fail(std::current_exception());
    }
  }

  void came_home(part& p) noexcept {
    this_loop().offload_ended();
    --left_;
    if (p.result.has_error()) fail(p.result.error());
    if (p.result.was_cancelled()) cancelled_ = true;
    if (left_ == 0) this_loop().wake(*waiter());
  }

  void fail(std::exception_ptr error) noexcept {
    if (!error_) error_ = std::move(error);
    if (!stopping_) stop();
  }

  /// True when some have not begun, and so never will. Why those first: who is told to stop makes room for the next.
  bool stop() noexcept {
    stopping_ = true;
    const std::size_t before = left_;
    for (part& each : parts_) withdraw(each);
    for (part& each : parts_) {
      if (each.whole != nullptr) each.function.request_stop();
    }
    return left_ < before;
  }

  void withdraw(part& p) noexcept {
    if (p.whole == nullptr || !withdraw_job(*pool_, p)) return;
    p.whole = nullptr;
    this_loop().offload_ended();
    --left_;
  }

  thread_pool_queue* pool_;
  std::vector<part> parts_;   // in the order of the items
  std::size_t left_ = 0;      // begun, and not at home again
  std::exception_ptr error_;  // null: none has failed
  bool stopping_ = false;     // no more begin
  bool cancelled_ = false;
};

}  // namespace ringlet::detail
