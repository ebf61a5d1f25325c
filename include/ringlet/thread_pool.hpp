// L5 services: thread_pool, for functions that compute or block; knows threads and the loop's mailbox.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/intrusive.hpp>
#include <ringlet/detail/remote_work.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/task.hpp>

#include <cstddef>
#include <optional>
#include <stop_token>
#include <tuple>

namespace ringlet {

class thread_pool;

namespace detail {

/// One function on its way through a pool and back to its loop. Lives in the awaiter or on the heap.
class pool_job : public remote_work, public list_links {
 public:
  /// threads: a worker's.
  virtual void execute() noexcept = 0;

  /// Called in place of run() when the loop that the job belongs to has ended. A job that its loop does not wait for
  /// holds a reference to the loop's mailbox. threads: a worker's.
  virtual void nobody_waits() noexcept {}

 protected:
  pool_job() = default;
  pool_job(const pool_job& other) noexcept : remote_work(other), list_links() {}
  ~pool_job() = default;

 private:
  friend class thread_pool_queue;
  mailbox* home_ = nullptr;       // of the loop to go back to, which waits for the job, unless that holds a reference
  std::size_t* asked_ = nullptr;  // counts it for the worker whose function asked; null: somebody else did
};

class thread_pool_queue;

/// Hands the job over; it comes back through run() on this loop. errors: std::logic_error, as of thread_pool::run.
void submit_job(thread_pool_queue& queue, pool_job& job);

/// Takes the job back. False: too late, a worker has it, and it will come back by itself.
bool withdraw_job(thread_pool_queue& queue, pool_job& job) noexcept;

struct no_stop_source {};

template <class F, class... Args>
inline constexpr bool takes_stop_token = std::is_invocable_v<F&, std::stop_token, Args&&...>;

template <class F, class... Args>
struct offload_result {
  using type = std::invoke_result_t<F&, Args&&...>;
};
template <class F, class... Args>
  requires takes_stop_token<F, Args...>
struct offload_result<F, Args...> {
  using type = std::invoke_result_t<F&, std::stop_token, Args&&...>;
};

/// Awaits f(args...) on a worker.
template <class F, class... Args>
class [[nodiscard]] offload_awaiter final : public wait, private pool_job {
  static constexpr bool takes_token = takes_stop_token<F, Args...>;

 public:
  using value_type = typename offload_result<F, Args...>::type;

  template <class G, class... Given>
  explicit offload_awaiter(thread_pool_queue& queue, G&& f, Given&&... given)
      : queue_(&queue), function_(std::forward<G>(f)), args_(std::forward<Given>(given)...) {}

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

  // What has not begun never will; what runs is told, if it listens, and awaited.
  void cancel() noexcept override {
    if (withdraw_job(*queue_, *this)) {
      cancelled_ = true;
      this_loop().offload_ended();
      this_loop().wake(*waiter());
    } else if constexpr (takes_token) {
      stop_.request_stop();
    }
  }
  wait_text describe() const noexcept override { return {"offload a function"}; }

 private:
  void execute() noexcept override {
    const auto call = [this](Args&... args) -> value_type {
      if constexpr (takes_token) {
        return function_(stop_.get_token(), std::move(args)...);
      } else {
        return function_(std::move(args)...);
      }
    };
    call_into(result_, [&]() -> value_type { return std::apply(call, args_); });
  }

  void run() noexcept override {
    this_loop().offload_ended();
    this_loop().wake(*waiter());
  }

  thread_pool_queue* queue_;
  F function_;
  std::tuple<Args...> args_;
  [[no_unique_address]] std::conditional_t<takes_token, std::stop_source, no_stop_source> stop_;
  outcome<value_type> result_;
  bool cancelled_ = false;
};

}  // namespace detail

/// A fixed number of threads that run functions for tasks, in the order of asking.
/// threads: run() on any loop's thread; the pool may serve several loops. lifetime: outlives the awaits of run().
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
