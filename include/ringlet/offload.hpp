// L5 services: offload, which runs a function on the default thread pool; knows the pool.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/thread_pool.hpp>

namespace ringlet {

/// The pool behind offload(): one worker a processor, made at first use and ended with the last loop that used it.
/// errors: os_error when a thread cannot be made. lifetime: until run() returns.
thread_pool& default_pool();

/// `co_await offload(f, args...)` runs f(args...) on the default pool, while the loop goes on, and gives its result.
/// Everything else is as for thread_pool::run. errors: also os_error, from the call itself, when the pool cannot be
/// made.
template <class F, class... Args>
auto offload(F&& f, Args&&... args) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  return default_pool().run(std::forward<F>(f), std::forward<Args>(args)...);
}

namespace detail {

/// The loop of this thread ends and no longer needs the default pool.
void release_default_pool() noexcept;

}  // namespace detail
}  // namespace ringlet
