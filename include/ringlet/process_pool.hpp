// L5 services: process_pool, for functions that may crash or must be stopped; knows how calls become bytes.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/serialize.hpp>
#include <ringlet/process.hpp>
#include <ringlet/task.hpp>

#include <cstddef>
#include <stdexcept>
#include <tuple>

namespace ringlet {

/// A worker of a process_pool has ended while it had a call: by a signal, or because the function ended its process.
class worker_died : public std::runtime_error {
 public:
  /// The text is "a worker of a process_pool has ended in a call: signal 11 (Segmentation fault)".
  explicit worker_died(process::status how);
  /// How its process has ended.
  const process::status& status() const noexcept { return status_; }
  /// The signal that ended it; 0: none did, and status() has the exit code.
  int signal() const noexcept { return status_.signal(); }

 private:
  process::status status_;
};

/// What a function has thrown in a worker. Of the exception its what() is left: its type stays in the other process.
class remote_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

class process_pool_state;

/// What a worker runs: reads the call, and writes the result.
using remote_function = void (*)(message_reader& call, message_writer& result);

/// Runs the call on a worker; gives what the function has written. errors: as of process_pool::run.
task<std::vector<std::byte>> call_worker(process_pool_state& pool, std::vector<std::byte> call);

template <class F>
inline constexpr bool is_function_pointer = std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

/// Can be had in another process of the same image by its type or its address.
template <class F>
inline constexpr bool is_same_everywhere =
    is_function_pointer<F> || (std::is_empty_v<F> && std::is_default_constructible_v<F>);

/// A call of an F with Args, as they arrive.
template <class F, class... Args>
struct remote_call {
  static_assert(is_same_everywhere<F>,
                "process_pool runs a function or a lambda without captures: hand over what it needs as arguments");
  static_assert((is_serializable<Args> && ...),
                "this argument cannot be sent to another process; see process_pool::run for what can be");
  static_assert(std::is_invocable_v<F&, Args&&...>,
                "the function cannot be called with these arguments; what was a view of text is a std::string there");

  using returned = std::invoke_result_t<F&, Args&&...>;
  using result = sent_as<returned>;
  static_assert(std::is_void_v<result> || is_serializable<result>,
                "this result cannot be sent to another process; see process_pool::run for what can be");

  /// In the parent.
  template <class... Given>
  static std::vector<std::byte> message([[maybe_unused]] const F& function, const Given&... args) {
    message_writer out;
    if constexpr (is_function_pointer<F>) put(out, function);
    (put(out, args), ...);
    const remote_function there = answer;
    return std::move(out).finish(reinterpret_cast<std::uintptr_t>(there));
  }

 private:
  /// In the worker. Why braces: what is in them is read from left to right.
  static void answer(message_reader& in, message_writer& out) {
    F function = take_function(in);
    std::tuple<Args...> args{get<Args>(in)...};
    if constexpr (std::is_void_v<returned>) {
      std::apply(function, std::move(args));
    } else {
      put(out, std::apply(function, std::move(args)));
    }
  }

  static F take_function([[maybe_unused]] message_reader& in) {
    if constexpr (is_function_pointer<F>) {
      return get<F>(in);
    } else {
      return F();
    }
  }
};

/// In the parent. R: what the result arrives as.
template <class R>
task<R> finish_call(process_pool_state& pool, std::vector<std::byte> call) {
  const std::vector<std::byte> answer = co_await call_worker(pool, std::move(call));
  if constexpr (!std::is_void_v<R>) {
    message_reader in(answer);
    co_return get<R>(in);
  }
}

}  // namespace detail

/// A fixed number of processes that run functions for tasks, in the order of asking. What a function does to memory or
/// to its process stays there, and it can be stopped at any time. Make the pool early, before run() and before there
/// are other threads: its workers begin as copies of the process as it is then, without what other threads are at.
/// threads: the loop's, of one loop after the other. lifetime: outlives the awaits of run(). source: fork(2).
class process_pool {
 public:
  /// workers: 0 means one a processor; each starts when it is first needed. errors: os_error when there cannot be a
  /// process to fork them from.
  explicit process_pool(std::size_t workers = 0);
  process_pool(const process_pool&) = delete;
  process_pool& operator=(const process_pool&) = delete;
  /// As shutdown().
  ~process_pool();

  /// `co_await pool.run(f, args...)` runs f(args...) in a worker and gives its result. `f`: a function, or a lambda
  /// without captures, of the program or of libraries that were loaded before the pool was made. Arguments and result
  /// are sent as copies: numbers and other types that are trivially copyable, std::string, std::vector, std::array,
  /// std::optional, std::pair and std::tuple of such; a string literal or string_view arrives as a std::string.
  /// errors: remote_error with the text of what `f` throws; worker_died when its process ends meanwhile, after which
  /// there will be another one; os_error when a worker cannot be started, or the process that starts them has ended;
  /// std::logic_error after shutdown() and in another process.
  /// cancel: what waits for a worker is not begun; one that runs `f` is killed, and reaped, before the await ends.
  /// suspends: always.
  template <class F, class... Args>
  auto run(F&& f, Args&&... args) {
    static_assert((detail::safe_argument<Args> && ...), RINGLET_UNSAFE_ARGUMENT);
    using call = detail::remote_call<std::decay_t<F>, detail::sent_as<Args>...>;
    return detail::finish_call<typename call::result>(*state_, call::message(f, args...));
  }

  /// Ends the workers; no task may be in run(). Blocks until they are reaped. Twice is no error.
  void shutdown() noexcept;

  /// How many workers there are at most. threads: any.
  std::size_t workers() const noexcept;

 private:
  detail::process_pool_state* state_;
};

}  // namespace ringlet
