// Bench: the least that coroutines can do with: frames from a pool, a ready queue, a mutex; no cancellation, no errors,
// no names, no limits. What ringlet's small operations are measured by.
// SPDX-License-Identifier: MIT
#pragma once

#include <coroutine>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace bench::bare {

/// Blocks of one size.
class pool {
 public:
  static constexpr std::size_t size = 256;

  void* allocate() {
    if (free_ == nullptr) return ::operator new(size);
    return std::exchange(free_, free_->next);
  }
  void release(void* memory) noexcept { free_ = ::new (memory) block{free_}; }

 private:
  struct block {
    block* next;
  };
  block* free_ = nullptr;
};

inline constinit thread_local pool frames;

/// Links of what waits for something; lives in the coroutine that waits.
struct node {
  node* next = nullptr;
  std::coroutine_handle<> frame;
};

class queue {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  void push(node& n) noexcept {
    n.next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = &n;
    last_ = &n;
  }
  node& pop() noexcept { return *std::exchange(first_, first_->next); }

 private:
  node* first_ = nullptr;
  node* last_ = nullptr;
};

inline constinit queue ready;

/// The next coroutine of the ready queue, for a suspension; back to drain() where there is none.
inline std::coroutine_handle<> next_ready() noexcept {
  return ready.empty() ? std::noop_coroutine() : ready.pop().frame;
}

inline void drain() {
  while (!ready.empty()) ready.pop().frame.resume();
}

/// Counts children; the last one makes the joiner ready.
struct join_counter {
  long running = 0;
  node joiner;

  bool await_ready() const noexcept { return running == 0; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> here) noexcept {
    joiner.frame = here;
    return next_ready();
  }
  void await_resume() const noexcept {}
};

struct promise_base {
  static void* operator new(std::size_t size) { return size <= pool::size ? frames.allocate() : ::operator new(size); }
  static void operator delete(void* memory, std::size_t size) noexcept {
    size <= pool::size ? frames.release(memory) : ::operator delete(memory);
  }
  std::suspend_always initial_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept {}
};

/// A lazy coroutine that is awaited.
class task {
 public:
  struct promise_type : promise_base {
    struct final_awaiter {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> here) const noexcept {
        return here.promise().continuation;
      }
      void await_resume() const noexcept {}
    };
    task get_return_object() noexcept { return task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    final_awaiter final_suspend() const noexcept { return {}; }
    void return_value(long v) noexcept { value = v; }
    std::coroutine_handle<> continuation;
    long value = 0;
  };

  task(const task&) = delete;
  task& operator=(const task&) = delete;
  ~task() { frame_.destroy(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
    frame_.promise().continuation = caller;
    return frame_;
  }
  long await_resume() const noexcept { return frame_.promise().value; }

 private:
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

/// A coroutine that runs from the ready queue, tells a counter that it has ended, and is gone.
struct child {
  struct promise_type : promise_base {
    struct final_awaiter {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> here) const noexcept {
        join_counter* with = here.promise().counter;
        here.destroy();
        if (with != nullptr && --with->running == 0 && with->joiner.frame) return with->joiner.frame;
        return next_ready();
      }
      void await_resume() const noexcept {}
    };
    child get_return_object() noexcept { return {this}; }
    final_awaiter final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    node place;
    join_counter* counter = nullptr;
  };

  void start(join_counter* with = nullptr) const noexcept {
    promise->place.frame = std::coroutine_handle<promise_type>::from_promise(*promise);
    promise->counter = with;
    if (with != nullptr) ++with->running;
    ready.push(promise->place);
  }

  promise_type* promise;
};

struct yield {
  bool await_ready() const noexcept { return ready.empty(); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> here) noexcept {
    place.frame = here;
    ready.push(place);
    return next_ready();
  }
  void await_resume() const noexcept {}
  node place;
};

class mutex {
 public:
  struct lock_awaiter {
    bool await_ready() const noexcept { return !std::exchange(owner.locked_, true); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> here) noexcept {
      place.frame = here;
      owner.waiters_.push(place);
      return next_ready();
    }
    void await_resume() const noexcept {}
    mutex& owner;
    node place;
  };

  lock_awaiter lock() noexcept { return {*this, {}}; }
  void unlock() noexcept {
    if (waiters_.empty()) {
      locked_ = false;
    } else {
      ready.push(waiters_.pop());
    }
  }

 private:
  bool locked_ = false;
  queue waiters_;
};

/// Numbers in a ring; who waits has the number in its own place, to be taken from there or left there.
class channel {
  struct place_of_number : node {
    long number = 0;
  };

 public:
  /// capacity: a power of two.
  explicit channel(std::size_t capacity) : numbers_(capacity) {}

  struct send_awaiter {
    bool await_ready() noexcept { return owner.try_send(place.number); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> here) noexcept {
      place.frame = here;
      owner.senders_.push(place);
      return next_ready();
    }
    void await_resume() const noexcept {}
    channel& owner;
    place_of_number place;
  };

  struct receive_awaiter {
    bool await_ready() noexcept { return owner.try_receive(place.number); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> here) noexcept {
      place.frame = here;
      owner.receivers_.push(place);
      return next_ready();
    }
    long await_resume() const noexcept { return place.number; }
    channel& owner;
    place_of_number place;
  };

  send_awaiter send(long number) noexcept { return {*this, {{}, number}}; }
  receive_awaiter receive() noexcept { return {*this, {}}; }

 private:
  bool try_send(long number) noexcept {
    if (!receivers_.empty()) {
      wake(receivers_).number = number;
      return true;
    }
    if (end_ - begin_ == numbers_.size()) return false;
    numbers_[end_++ & (numbers_.size() - 1)] = number;
    return true;
  }
  bool try_receive(long& number) noexcept {
    if (end_ == begin_) return false;
    number = numbers_[begin_++ & (numbers_.size() - 1)];
    if (!senders_.empty()) numbers_[end_++ & (numbers_.size() - 1)] = wake(senders_).number;
    return true;
  }
  static place_of_number& wake(queue& waiters) noexcept {
    auto& first = static_cast<place_of_number&>(waiters.pop());
    ready.push(first);
    return first;
  }

  std::vector<long> numbers_;
  std::size_t begin_ = 0;  // grows for ever, as end_ does
  std::size_t end_ = 0;
  queue senders_;
  queue receivers_;
};

}  // namespace bench::bare
