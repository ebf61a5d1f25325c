// L5 services: what a thread pool runs; knows the loop's mailbox.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/intrusive.hpp>
#include <ringlet/detail/remote_work.hpp>

#include <cstddef>
#include <stop_token>
#include <tuple>
#include <type_traits>

namespace ringlet::detail {

class mailbox;
class thread_pool_queue;

/// One function on its way through a pool and back to its loop. Lives in the awaiter or on the heap.
class pool_job : public remote_work, public list_links {
 public:
  /// threads: a worker's.
  virtual void execute() noexcept = 0;

  /// Called in place of run() when the loop that the job belongs to has ended, or there never was one. A job that its
  /// loop does not wait for holds a reference to the loop's mailbox. threads: a worker's.
  virtual void nobody_waits() noexcept {}

 protected:
  pool_job() = default;
  pool_job(const pool_job& other) noexcept : remote_work(other), list_links() {}
  ~pool_job() = default;

 private:
  friend class thread_pool_queue;
  mailbox* home_ = nullptr;       // of the loop to go back to, which waits for the job, unless that holds a reference;
                                  // null: it goes back to none
  std::size_t* asked_ = nullptr;  // counts it for the worker whose function asked; null: somebody else did
};

/// Hands the job over; it comes back through run() on this loop. errors: std::logic_error, as of thread_pool::run.
void submit_job(thread_pool_queue& queue, pool_job& job);

/// The same of a job that belongs to no loop, and ends with nobody_waits().
void submit_homeless_job(thread_pool_queue& queue, pool_job& job);

/// True on one of this pool's own workers.
bool is_own_worker(const thread_pool_queue& queue) noexcept;

/// This worker of the pool, if it is one, waits for the pool from now on. waiting: for end_waiting(). False: all other
/// workers do so already, and nothing has changed.
bool begin_waiting(thread_pool_queue& queue, std::size_t*& waiting) noexcept;

/// The worker that began to wait, null for none, no longer does. threads: any.
void end_waiting(thread_pool_queue& queue, std::size_t* waiting) noexcept;

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

/// A function with its arguments, to be called once, on whatever thread.
template <class F, class... Args>
class pool_call {
  static constexpr bool takes_token = takes_stop_token<F, Args...>;

 public:
  using result_type = typename offload_result<F, Args...>::type;

  template <class G, class... Given>
  explicit pool_call(G&& f, Given&&... given) : function_(std::forward<G>(f)), args_(std::forward<Given>(given)...) {}

  void run_into(outcome<result_type>& result) noexcept {
    const auto call = [this](Args&... args) -> result_type {
      if constexpr (takes_token) {
        return function_(stop_.get_token(), std::move(args)...);
      } else {
        return function_(std::move(args)...);
      }
    };
    call_into(result, [&]() -> result_type { return std::apply(call, args_); });
  }

  /// Tells the function, if it listens.
  void request_stop() noexcept {
    if constexpr (takes_token) stop_.request_stop();
  }

 private:
  F function_;
  std::tuple<Args...> args_;
  [[no_unique_address]] std::conditional_t<takes_token, std::stop_source, no_stop_source> stop_;
};

}  // namespace ringlet::detail
