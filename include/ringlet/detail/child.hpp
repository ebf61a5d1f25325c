// L3 scopes: a spawned task's record with its function, arguments and result; knows the scheduler and scopes.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/arguments.hpp>
#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/bound_value.hpp>
#include <ringlet/detail/frame_pool.hpp>
#include <ringlet/detail/ref.hpp>
#include <ringlet/detail/wait_queue.hpp>
#include <ringlet/error.hpp>
#include <ringlet/task.hpp>

#include <tuple>

namespace ringlet {
namespace detail {

template <class F, class... Args>
concept spawnable = std::is_invocable_v<F&, unwrapped<Args>...>;

template <class F, class... Args>
using spawned_awaitable = std::invoke_result_t<F&, unwrapped<Args>...>;

template <class F, class... Args>
using spawned_result = await_result<spawned_awaitable<F, Args...>>;

template <class T, class A>
task<T> await_in_task(A awaitable) {
  co_return co_await std::move(awaitable);
}

template <class T, class A>
task<T> as_task(A&& awaitable) {
  if constexpr (std::is_same_v<std::remove_cvref_t<A>, task<T>>) {
    return std::forward<A>(awaitable);
  } else {
    return await_in_task<T, std::decay_t<A>>(std::forward<A>(awaitable));
  }
}

class child_base;

/// Who looks after a child: told once, when it has finished.
class parent {
 public:
  virtual void child_finished(child_base& child) noexcept = 0;

 protected:
  ~parent() = default;
};

/// The record of a task with a parent. Referenced by the loop until it has finished, and by its job.
class child_base : public task_record, public counted<child_base> {
 public:
  bool done() const noexcept { return parent_ == nullptr; }
  bool succeeded() const noexcept { return succeeded_; }
  virtual std::exception_ptr error() const noexcept = 0;
  virtual bool was_cancelled() const noexcept = 0;
  void last_reference_gone() noexcept { delete this; }

  /// lifetime: the parent outlives the child's run.
  void start_under(parent& owner, scope* where) noexcept {
    add_reference();
    parent_ = &owner;
    put_under(where);
    bound_value::inherit(*this);
    this_loop().start(*this);
  }

  class join_wait : public queued_wait {
   public:
    /// The child has finished.
    virtual void child_finished() noexcept { this_loop().wake(*waiter()); }
    wait_text describe() const noexcept override { return {"join task", task_id_}; }

   protected:
    explicit join_wait(const child_base& child) noexcept : task_id_(static_cast<long long>(child.id())) {}
    ~join_wait() = default;

   private:
    long long task_id_;
  };

  wait_queue<join_wait>& joiners() noexcept { return joiners_; }

 protected:
  void tell_finished(bool succeeded) noexcept {
    succeeded_ = succeeded;
    bound_value::forget(*this);
    while (join_wait* each = joiners_.pop()) each->child_finished();
    std::exchange(parent_, nullptr)->child_finished(*this);
    drop_reference();
  }

 private:
  parent* parent_ = nullptr;  // null: finished
  bool succeeded_ = false;    // once it has finished
  wait_queue<join_wait> joiners_;
};

template <class R>
class child_with_result : public child_base {
 public:
  std::exception_ptr error() const noexcept override { return result_.has_error() ? result_.error() : nullptr; }
  bool was_cancelled() const noexcept override { return result_.was_cancelled(); }
  outcome<R>& result() noexcept { return result_; }

  /// The result, once. errors: the task's own, or task_cancelled.
  R take() {
    RINGLET_CHECK(!taken_ || std::is_void_v<R>, "the result of task {} was asked for twice", id());
    taken_ = true;
    if (result_.was_cancelled()) throw task_cancelled();
    if (result_.has_error()) std::rethrow_exception(result_.error());
    return result_.take();
  }

 private:
  outcome<R> result_;
  bool taken_ = false;
};

/// f and its arguments live here, and so as long as the coroutine that may refer to them.
template <class R, class F, class... Args>
class child : public child_with_result<R>, public pooled {
 public:
  template <class G, class... Given>
  explicit child(G&& function, Given&&... args) : call_(std::forward<G>(function), std::forward<Given>(args)...) {
    this->suspend_at(call_.body.frame(), &call_.body.frame().promise());
  }
  // Only one that never began to run has anything left.
  ~child() override {
    if (!finished_) call_.~call();
  }

  void finish() noexcept override {
    if (this->dropped()) {
      this->result().set_cancelled();
      const bool outer = std::exchange(current.dropping, true);
      drop_call();
      current.dropping = outer;
    } else {
      this->result() = std::move(call_.body.frame().promise().result());
      drop_call();
    }
    this->tell_finished(this->result().has_value());
  }

 private:
  struct call {
    template <class G, class... Given>
    explicit call(G&& f, Given&&... given)
        : function(std::forward<G>(f)), args(std::forward<Given>(given)...), body(start()) {}

    typename task<R>::awaiter start() {
      const auto unwrap_all = [](Args&... each) { return std::tuple<unwrapped<Args>...>(unwrap(each)...); };
      return as_task<R>(std::apply(function, std::apply(unwrap_all, args))).operator co_await();
    }

    F function;
    std::tuple<Args...> args;
    typename task<R>::awaiter body;
  };

  void drop_call() noexcept {
    finished_ = true;
    call_.~call();
  }

  union {
    call call_;  // until it has finished
  };
  bool finished_ = false;
};

template <class R, class F, class Kept>
struct child_with;
template <class R, class F, class... Kept>
struct child_with<R, F, parameter_list<Kept...>> {
  using type = child<R, F, Kept...>;
};

/// The child of f(args...). Args: decayed.
template <class F, class... Args>
using child_of =
    typename child_with<spawned_result<F, Args...>, F,
                        typename keep_each<parameter_list<>, typename parameters<F>::type, Args...>::type>::type;

template <class Child>
class named final : public Child {
 public:
  template <class... Given>
  explicit named(ringlet::name text, Given&&... given) : Child(std::forward<Given>(given)...), name_(std::move(text)) {}
  const char* name() const noexcept override { return name_.c_str(); }

 private:
  ringlet::name name_;
};

}  // namespace detail
}  // namespace ringlet
