// L6 surface: run_on_threads(), the way into several loops, each on a thread and a ring of its own; knows every layer.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/run.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace ringlet {

namespace detail {

/// What one of several loops runs. Made and destroyed on the thread that asks for them, run on that of its loop.
class loop_body {
 public:
  virtual void run_in(loop& here) = 0;

 protected:
  ~loop_body() = default;
};

/// errors: those of run_on_threads() that can be known before anything begins.
void check_request(const options& how, int threads);

/// Runs each body in a loop of its own, and throws what failed first.
void run_each(const options& how, std::span<loop_body* const> bodies);

template <class R, class F, class... Args>
class loop_body_of final : public loop_body {
  using root_task = child_of<F, Args...>;

 public:
  explicit loop_body_of(const F& f, const Args&... args) : call_(f, args...) {
    result_.set_cancelled();  // until there is another
  }

  void run_in(loop& here) override {
    const auto make_root = [](F& f, Args&... args) { return new root_task(std::move(f), std::move(args)...); };
    const ref<root_task> root(std::apply(make_root, call_));
    here.run(*root);
    result_ = std::move(root->result());
    if (result_.has_error()) std::rethrow_exception(result_.error());
  }

  outcome<R>& result() noexcept { return result_; }

 private:
  std::tuple<F, Args...> call_;
  outcome<R> result_;
};

template <class R, class Body>
auto results_of(std::vector<Body>& bodies) {
  if constexpr (!std::is_void_v<R>) {
    std::vector<R> results;
    results.reserve(bodies.size());
    for (Body& body : bodies) results.push_back(result_of_root(body.result()));
    return results;
  }
}

}  // namespace detail

/// Runs f(args...), a task<R>, on each of as many new threads as said, in loops that share nothing, and waits for all
/// of them. Gives a std::vector<R> in the order of thread_index(), or nothing for a task<void>. No body begins before
/// all rings are set up. The first error cancels the other loops and is thrown when they have ended; those that come
/// after it are dropped. With options::handle_signals() a signal cancels the root task of every loop.
/// errors: what a task threw; deadlock_error of one of the loops; startup_error, or os_error "create a thread", and
/// then no body has run; std::invalid_argument for less than one thread, and for a clock or a driver among the options,
/// which are one loop's; std::logic_error inside run(), or when another loop handles signals already; task_cancelled as
/// of run(). threads: blocks the calling one. lifetime: `f` and `args` are copied for each loop, before any begins;
/// what std::ref or a pointer refers to is shared by all threads.
template <class F, class... Args>
auto run_on_threads(const options& how, int threads, F&& f, Args&&... args) {
  using result = detail::spawned_result<std::decay_t<F>, std::decay_t<Args>...>;
  using body = detail::loop_body_of<result, std::decay_t<F>, std::decay_t<Args>...>;
  static_assert(!std::is_reference_v<result>, "run_on_threads gives values: let the task return a pointer");
  static_assert((std::copy_constructible<std::decay_t<F>> && ... && std::copy_constructible<std::decay_t<Args>>),
                "run_on_threads copies the function and its arguments for each thread: hand over what only moves, or "
                "is to be shared, by std::ref");
  detail::check_request(how, threads);
  std::vector<body> bodies;
  bodies.reserve(static_cast<std::size_t>(threads));
  for (int count = 0; count < threads; ++count) bodies.emplace_back(f, args...);
  std::vector<detail::loop_body*> each;
  for (body& one : bodies) each.push_back(&one);
  detail::run_each(how, each);
  return detail::results_of<result>(bodies);
}

/// The same with default options.
template <class F, class... Args>
auto run_on_threads(int threads, F&& f, Args&&... args) {
  return run_on_threads(options(), threads, std::forward<F>(f), std::forward<Args>(args)...);
}

/// Which of the loops of run_on_threads() the calling thread runs, from 0 on; 0 on every other thread. threads: any.
std::size_t thread_index() noexcept;

}  // namespace ringlet
