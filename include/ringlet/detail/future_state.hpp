// L5 services: a function that is given to a pool before anybody waits for it, and who is to hear of its end; knows
// pools and the loops' mailboxes.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/pool_job.hpp>
#include <ringlet/error.hpp>
#include <ringlet/scheduler.hpp>

#include <atomic>
#include <mutex>
#include <stdexcept>

namespace ringlet::detail {

/// Is told, on its loop, that a future is done. Until then the loop counts it among the functions that it waits for.
class future_listener : public remote_work, public list_links {
 public:
  /// In place of done(): the loop has ended by then. threads: any.
  virtual void loop_ended() noexcept = 0;

 protected:
  future_listener() = default;
  future_listener(const future_listener& other) noexcept : remote_work(other), list_links() {}
  ~future_listener() = default;

 private:
  friend class future_state;

  /// threads: the loop's. May destroy this.
  virtual void done() noexcept = 0;

  void run() noexcept final {
    this_loop().offload_ended();
    done();
  }

  mailbox* home_ = nullptr;         // referenced while it listens; null: does not
  std::size_t* waiting_ = nullptr;  // counts it for the pool's own worker whose loop waits; null: no such
};

/// What a future refers to, and the pool until the function has ended.
class future_state : public pool_job {
 public:
  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  /// Gives it to the pool. errors: std::logic_error.
  void begin();

  /// The function has ended, or never will begin. threads: any.
  bool over() const noexcept { return stage_.load(std::memory_order_acquire) == stage::over; }
  bool running() const noexcept { return stage_.load(std::memory_order_acquire) == stage::running; }

  /// True: it never will begin. Else it is told, if it listens. threads: any.
  bool cancel() noexcept;

  /// Blocks until it is over. threads: any without a loop. errors: std::logic_error in a loop that would have to wait,
  /// and on a worker of the pool when nobody would be left who works.
  void wait();

  /// For a task. False: it is over, and nobody will be told. threads: the listener's loop. errors: std::logic_error on
  /// a worker of the pool when nobody would be left who works.
  bool await(future_listener& who);
  /// For a callback, which is told also when it is over already. threads: the listener's loop.
  void listen(future_listener& who) noexcept;
  /// False: it is too late, and the listener will be told. threads: the listener's loop.
  bool stop_listening(future_listener& who) noexcept;

 protected:
  explicit future_state(thread_pool_queue& pool) noexcept : pool_(pool) {}
  virtual ~future_state() = default;

 private:
  enum class stage : unsigned char { waiting, running, over };

  virtual void call() noexcept = 0;
  virtual void set_cancelled() noexcept = 0;
  virtual void request_stop() noexcept = 0;

  void execute() noexcept final;
  void run() noexcept final {}  // Why empty: it belongs to no loop
  void nobody_waits() noexcept final { drop_reference(); }

  class blocked_worker;

  bool run_here() noexcept;
  bool wait_for_others(std::size_t*& waiting);
  bool add(future_listener& who, std::size_t* waiting) noexcept;
  void end() noexcept;
  future_listener* next_to_tell() noexcept;

  thread_pool_queue& pool_;
  std::atomic<int> references_{0};
  std::atomic<stage> stage_{stage::waiting};  // over: the result counts, and nobody listens any more
  std::mutex mutex_;                          // guards the two lists, and stage_ as far as it says that they are empty
  intrusive_list<future_listener> listeners_;
  intrusive_list<blocked_worker> blocked_;
};

/// The result of one, for as many as ask.
template <class R>
class future_result : public future_state {
 public:
  using result_type = R;

  bool was_cancelled() const noexcept { return over() && result_.was_cancelled(); }

  /// Only when it is over. errors: the function's, or task_cancelled.
  R copy() {
    check();
    if (moved_) throw_moved();
    if constexpr (std::is_object_v<R>) {
      if constexpr (std::is_copy_constructible_v<R>) {
        return result_.value();
      } else {
        return move();
      }
    } else {
      return result_.take();
    }
  }
  /// The same, and nothing of it is left. errors: also std::logic_error, when nothing was left.
  R move() {
    check();
    if (std::is_object_v<R> && moved_.exchange(true)) throw_moved();
    return result_.take();
  }

 protected:
  using future_state::future_state;

  outcome<R> result_;

 private:
  void set_cancelled() noexcept final { result_.set_cancelled(); }

  void check() {
    if (result_.was_cancelled()) throw task_cancelled("the function was cancelled before it had a result");
    if (result_.has_error()) std::rethrow_exception(result_.error());
  }

  [[noreturn]] static void throw_moved() { throw std::logic_error("future: the result was given away before"); }

  std::atomic<bool> moved_{false};
};

template <class F, class... Args>
class future_call final : public future_result<typename pool_call<F, Args...>::result_type> {
  using base = future_result<typename pool_call<F, Args...>::result_type>;

 public:
  template <class G, class... Given>
  explicit future_call(thread_pool_queue& pool, G&& f, Given&&... given)
      : base(pool), call_(std::forward<G>(f), std::forward<Given>(given)...) {}

 private:
  void call() noexcept override { call_.run_into(this->result_); }
  void request_stop() noexcept override { call_.request_stop(); }

  pool_call<F, Args...> call_;
};

}  // namespace ringlet::detail
