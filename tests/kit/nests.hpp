// Test kit: coroutines as another library might have them.
#pragma once

#include <ringlet/event.hpp>

#include <coroutine>
#include <exception>

namespace kit {

/// A coroutine of another library, which runs what it awaits inside of await_suspend.
class nests {
 public:
  struct promise_type {
    struct final_awaiter {
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> here) noexcept {
        here.promise().ended = true;
        if (here.promise().awaited_by) here.promise().awaited_by.resume();
      }
      void await_resume() noexcept {}
    };
    nests get_return_object() { return nests(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    final_awaiter final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    std::coroutine_handle<> awaited_by;
    bool ended = false;
  };

  nests(const nests&) = delete;
  nests& operator=(const nests&) = delete;
  ~nests() { frame_.destroy(); }

  bool await_ready() { return false; }
  bool await_suspend(std::coroutine_handle<> here) {
    frame_.resume();
    if (frame_.promise().ended) return false;
    frame_.promise().awaited_by = here;
    return true;
  }
  void await_resume() {}

 private:
  explicit nests(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

/// Waits for the event in there.
inline nests wait_nested(ringlet::event& e) {
  co_await e.wait();
}

}  // namespace kit
