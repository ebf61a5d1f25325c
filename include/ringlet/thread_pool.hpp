// L5 services: thread_pool, for functions that compute or block; knows threads and the loop's mailbox.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/pool_job.hpp>
#include <ringlet/detail/pool_map.hpp>
#include <ringlet/future.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/task.hpp>

#include <cstddef>

namespace ringlet {

namespace detail {

/// Awaits f(args...) on a worker.
template <class F, class... Args>
class [[nodiscard]] offload_awaiter final : public wait, private pool_job {
 public:
  using value_type = typename pool_call<F, Args...>::result_type;

  template <class G, class... Given>
  explicit offload_awaiter(thread_pool_queue& queue, G&& f, Given&&... given)
      : queue_(&queue), call_(std::forward<G>(f), std::forward<Given>(given)...) {}

  bool await_ready() noexcept {
    cancelled_ = cancel_requested();
    return cancelled_;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) {
    submit_job(*queue_, *this);
    park(here, *this);
    this_loop().offload_began();
  }
  bool await_cancelled() noexcept { return cancelled_ || result_.was_cancelled(); }
  value_type await_resume() {
    if (cancelled_) throw ringlet::cancelled{};
    return result_.take();
  }

  // What has not begun never will; what runs is told, and awaited.
  void cancel() noexcept override {
    if (withdraw_job(*queue_, *this)) {
      cancelled_ = true;
      this_loop().offload_ended();
      this_loop().wake(*waiter());
    } else {
      call_.request_stop();
    }
  }
  wait_text describe() const noexcept override { return {"offload a function"}; }

 private:
  void execute() noexcept override { call_.run_into(result_); }

  void run() noexcept override {
    this_loop().offload_ended();
    this_loop().wake(*waiter());
  }

  thread_pool_queue* queue_;
  pool_call<F, Args...> call_;
  outcome<value_type> result_;
  bool cancelled_ = false;
};

}  // namespace detail

/// A fixed number of threads that run functions for tasks, in the order of asking.
/// threads: run() and map() on any loop's thread, submit() on any; the pool may serve several loops.
/// lifetime: outlives the awaits of run() and map(), and each future's cancel().
class thread_pool {
 public:
  /// workers: 0 means one a processor. queue_limit: functions that wait in the pool itself; 0 means 4 a worker.
  /// Tasks beyond that wait, in order, for a place. errors: os_error when a thread cannot be made.
  explicit thread_pool(std::size_t workers = 0, std::size_t queue_limit = 0);
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  /// As shutdown().
  ~thread_pool();

  /// `co_await pool.run(f, args...)` runs f(args...) on a worker and gives its result. `f` and `args` are copied or
  /// moved. A function that can take a std::stop_token first gets one that a cancel request triggers; it may then
  /// return what it has, or throw `cancelled`. errors: what `f` throws; std::logic_error after shutdown(), and in a
  /// loop on one of the pool's own workers when all others wait for the pool already, for then nobody would run `f`.
  /// cancel: a function that has not begun never will; one that runs delays the cancellation until it returns, and if
  /// it returns a value, that is given. suspends: always, also while the queue is full.
  template <class F, class... Args>
  auto run(F&& f, Args&&... args) {
    RINGLET_REQUIRE_SAFE_CLOSURE(F);
    static_assert((detail::safe_argument<Args> && ...), RINGLET_UNSAFE_ARGUMENT);
    return detail::offload_awaiter<std::decay_t<F>, std::decay_t<Args>...>(*queue_, std::forward<F>(f),
                                                                           std::forward<Args>(args)...);
  }

  /// Puts f(args...) into the queue, and gives a future for its result; dropping that changes nothing. `f` and `args`
  /// are copied or moved; a std::stop_token as for run(). With g++ 12, in `co_await pool.submit(f)`, name closures that
  /// need a destructor first. errors: of `f`, to those who ask the future; std::logic_error after shutdown().
  /// threads: any.
  template <class F, class... Args>
  auto submit(F&& f, Args&&... args) {
    using call = detail::future_call<std::decay_t<F>, std::decay_t<Args>...>;
    return detail::begin_future<typename call::result_type>(
        *new call(*queue_, std::forward<F>(f), std::forward<Args>(args)...));
  }

  /// `co_await pool.map(f, items)` runs f(item) for each on the workers; gives std::vector of the results, in the order
  /// of the items (of `nothing` for void). `f` and the items are copied, when map() is called.
  /// errors: as of run(), the first one, after the functions that had begun have ended; the others never begin.
  /// cancel: as for run(). suspends: always, unless there is no item.
  template <class F, class Range>
  auto map(F&& f, const Range& items) {
    RINGLET_REQUIRE_SAFE_CLOSURE(F);
    return detail::map_awaiter<std::decay_t<F>, std::decay_t<decltype(*items.begin())>>(*queue_, f, items);
  }

  /// Refuses new functions, runs those it has to their end, and ends the workers. Blocks. Twice is no error.
  /// threads: one at a time, and none of the pool's own.
  void shutdown() noexcept;

  /// How many threads there are; those of a pool that was shut down still count. threads: any.
  std::size_t workers() const noexcept;
  /// Functions that wait for a worker, those that wait for a place in the queue not counted. threads: any.
  std::size_t queued() const noexcept;

  // For those who write awaitables.

  /// Hands the job over; it comes back through run() on this loop. errors: std::logic_error, as of run().
  void submit_job(detail::pool_job& job);

 private:
  detail::thread_pool_queue* queue_;
};

}  // namespace ringlet
