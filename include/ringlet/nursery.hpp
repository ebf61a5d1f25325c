// L3 scopes: nurseries, in which tasks are spawned and which end after all of them; knows the scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/cancel.hpp>
#include <ringlet/detail/child.hpp>

namespace ringlet {

template <class R>
class job;

namespace detail {
class nursery_access;
template <class>
class completion_watch;
}  // namespace detail

/// Holds the tasks spawned in it. It ends when all of them have ended; the first error cancels the others and comes
/// out of with_nursery. threads: the loop's. lifetime: until with_nursery returns.
class nursery : private detail::scope, private detail::parent {
 public:
  nursery(const nursery&) = delete;
  nursery& operator=(const nursery&) = delete;

  /// Calls f(args...) and starts the task it gives as a child in the next batch. `f` and `args` are copied or moved
  /// into the child and live as long as it does; std::ref and borrowed() hand over references. The job may be dropped.
  /// errors: of the task, to the nursery, and to those who await the job; what a plain `f` throws before it gives a
  /// task, to the caller. cancel: in a cancelled nursery the task does not begin.
  template <class F, class... Args>
    requires(!std::same_as<std::decay_t<F>, name>)
  auto spawn(F&& f, Args&&... args) -> job<detail::spawned_result<std::decay_t<F>, std::decay_t<Args>...>>;

  /// The same, with a name for dumps.
  template <class F, class... Args>
  auto spawn(name label, F&& f, Args&&... args) -> job<detail::spawned_result<std::decay_t<F>, std::decay_t<Args>...>>;

  /// Does not compile: of a task that was called already, the arguments and the closure may be gone before it ends.
  template <class T, class... Args>
  void spawn(task<T>, Args&&...) {
    static_assert(std::is_same_v<T, nursery>,
                  "spawn takes a function and its arguments, and calls it itself: n.spawn(f, x), not n.spawn(f(x))");
  }

  /// Does not compile either.
  template <class T, class... Args>
  void spawn(const name&, task<T> called, Args&&...) {
    spawn(std::move(called));
  }

  /// Does not compile: the function cannot be called like this.
  template <class F, class... Args>
    requires(!std::same_as<std::decay_t<F>, name> && !detail::spawnable<std::decay_t<F>, std::decay_t<Args>...>)
  void spawn(F&&, Args&&...) {
    static_assert(
        std::is_same_v<F, nursery>,
        "spawn calls the function with what it has moved into the child: for a parameter by reference that is "
        "not const, hand over std::ref(x)");
  }

  /// Does not compile either.
  template <class F, class... Args>
    requires(!detail::spawnable<std::decay_t<F>, std::decay_t<Args>...>)
  void spawn(const name&, F&& f, Args&&... args) {
    spawn(std::forward<F>(f), std::forward<Args>(args)...);
  }

  /// Cancels the children and the body; with_nursery then returns as soon as they have ended.
  void cancel() noexcept { scope::cancel(); }
  /// True once cancel() was called here, or a child or the body has failed.
  bool cancel_requested() const noexcept { return requested(); }

  /// Children that have not finished.
  std::size_t size() const noexcept { return size_; }

 private:
  friend class detail::nursery_access;

  class join_awaiter;

  nursery() noexcept;
  ~nursery();

  template <class Child>
  void adopt(Child& child) {
    children_.push_back(child);
    ++size_;
    child.start_under(*this, this);
  }

  void child_finished(detail::child_base& child) noexcept override;
  void note_early_end(const detail::child_base& child) noexcept;
  void fail(std::exception_ptr error) noexcept;

  detail::sibling_list children_;
  std::size_t size_ = 0;
  std::exception_ptr error_;        // null: nothing has failed
  bool interrupted_ = false;        // a cancel request from outside has ended a child
  join_awaiter* joiner_ = nullptr;  // null: the body still runs
};

/// A spawned task seen from outside. Dropping it changes nothing.
/// `co_await job` gives the result, once; errors: the task's own, or task_cancelled if it was cancelled.
/// cancel: of the await leaves the task alone. threads: the loop's. lifetime: may outlive the nursery.
template <class R>
class [[maybe_unused]] job {
 public:
  /// Makes every await of the task throw `cancelled`; one that has not begun never will. Its siblings go on.
  void cancel() noexcept {
    if (!child_->done()) child_->base_scope().cancel();
  }
  /// True once the task has ended, in whatever way.
  bool done() const noexcept { return child_->done(); }
  /// The task's number in dumps; each loop counts from 1.
  std::uint64_t id() const noexcept { return child_->id(); }
  /// The name given to spawn(), "" for none. lifetime: as the job.
  std::string_view name() const noexcept { return child_->name() == nullptr ? "" : child_->name(); }

  class awaiter final : public detail::child_base::join_wait {
   public:
    explicit awaiter(detail::ref<detail::child_with_result<R>> child) noexcept
        : join_wait(*child), child_(std::move(child)) {}

    bool await_ready() noexcept { return refuse_if_cancelled() || (child_->done() && detail::within_budget()); }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
      if (child_->done()) return detail::preempt(here);
      child_->joiners().park(here, *this);
      return detail::next_step();
    }
    R await_resume() {
      throw_if_cancelled();
      return child_->take();
    }

   private:
    detail::ref<detail::child_with_result<R>> child_;
  };

  awaiter operator co_await() const noexcept { return awaiter(child_); }

 private:
  friend class nursery;
  friend class detail::nursery_access;
  template <class>
  friend class detail::completion_watch;
  explicit job(detail::child_with_result<R>* child) noexcept : child_(child) {}

  detail::ref<detail::child_with_result<R>> child_;
};

namespace detail {

/// Opens and closes a nursery for ringlet's own combinators.
class nursery_access {
 public:
  nursery_access() = default;
  nursery_access(const nursery_access&) = delete;
  nursery_access& operator=(const nursery_access&) = delete;

  nursery& get() noexcept { return nursery_; }

  /// Waits until all children have finished; a cancel request reaches them, not this wait.
  auto join() noexcept;

  /// The body's error counts like a child's.
  void fail(std::exception_ptr error) noexcept { nursery_.fail(std::move(error)); }

  /// Leaves the scope. True: `cancelled` ends here, because it was the nursery itself that was cancelled.
  bool close() noexcept {
    const bool caught = nursery_.catches();
    nursery_.leave();
    return caught;
  }

  void rethrow_error() {
    if (nursery_.error_) std::rethrow_exception(std::move(nursery_.error_));
  }

  bool interrupted() const noexcept { return nursery_.interrupted_; }

  template <class R>
  static outcome<R>& result_of(const job<R>& finished) noexcept {
    return finished.child_->result();
  }

 private:
  nursery nursery_;
};

}  // namespace detail

class nursery::join_awaiter final : public detail::wait {
 public:
  explicit join_awaiter(nursery& n) noexcept : nursery_(n) {}
  bool await_ready() const noexcept { return nursery_.size_ == 0; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) noexcept {
    nursery_.joiner_ = this;
    detail::park(here, *this);
  }
  void await_resume() const noexcept {}

  void cancel() noexcept override {}  // Why: the children are in the scope and have been told; this waits for them.
  detail::wait_text describe() const noexcept override { return {"wait for its children"}; }

 private:
  nursery& nursery_;
};

inline auto detail::nursery_access::join() noexcept {
  return nursery::join_awaiter(nursery_);
}

template <class F, class... Args>
  requires(!std::same_as<std::decay_t<F>, name>)
auto nursery::spawn(F&& f, Args&&... args) -> job<detail::spawned_result<std::decay_t<F>, std::decay_t<Args>...>> {
  static_assert((detail::safe_to_spawn<Args&&> && ...),
                "a pointer, string_view or span may not live as long as the child: hand over a value, or borrowed(x)");
  using result = detail::spawned_result<std::decay_t<F>, std::decay_t<Args>...>;
  using child = detail::child_of<std::decay_t<F>, std::decay_t<Args>...>;
  auto* made = new child(std::forward<F>(f), std::forward<Args>(args)...);
  adopt(*made);
  return job<result>(made);
}

template <class F, class... Args>
auto nursery::spawn(name label, F&& f, Args&&... args)
    -> job<detail::spawned_result<std::decay_t<F>, std::decay_t<Args>...>> {
  static_assert((detail::safe_to_spawn<Args&&> && ...),
                "a pointer, string_view or span may not live as long as the child: hand over a value, or borrowed(x)");
  using result = detail::spawned_result<std::decay_t<F>, std::decay_t<Args>...>;
  using child = detail::named<detail::child_of<std::decay_t<F>, std::decay_t<Args>...>>;
  auto* made = new child(std::move(label), std::forward<F>(f), std::forward<Args>(args)...);
  adopt(*made);
  return job<result>(made);
}

namespace detail {

template <class R, class Body>
task<R> run_nursery(Body body) {
  nursery_access children;
  outcome<R> result;
  try {
    auto work = body(children.get());
    result = co_await as_outcome(std::move(work));
  } catch (...) {
    set_current_exception(result);
  }
  if (result.has_error()) children.fail(result.error());
  co_await children.join();
  const bool caught = children.close();
  children.rethrow_error();
  if (result.was_cancelled() && caught) {
    if constexpr (std::is_void_v<R>) co_return;
    throw task_cancelled("the nursery was cancelled before its body had a result");
  }
  if (children.interrupted()) throw cancelled{};  // Why: what the children were to do has not been done
  co_return result.take();
}

}  // namespace detail

/// `co_await with_nursery(body)` runs body(nursery&), a task<R>, and all tasks spawned there; gives what body returned.
/// errors: the first of the body's or a child's, once all have ended; task_cancelled if the nursery was cancelled
/// before a body with a result had one. cancel: reaches the body and all children, and waits for them; the result is
/// given only if none of them was ended by it.
template <class F>
auto with_nursery(F&& body) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  using result = detail::await_result<std::invoke_result_t<std::decay_t<F>&, nursery&>>;
  return detail::run_nursery<result, std::decay_t<F>>(std::forward<F>(body));
}

}  // namespace ringlet
