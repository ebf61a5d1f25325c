// L3 sync: mt_channel, through which threads and other loops hand values to the tasks of one loop; knows its waits.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/channel_core.hpp>
#include <ringlet/detail/ring_queue.hpp>

#include <optional>
#include <stdexcept>

namespace ringlet {

namespace detail {

/// The values of a channel, and what happens to them.
template <class T>
class channel_state final : public channel_core {
 public:
  explicit channel_state(std::size_t capacity) : capacity_(capacity) {}

  class [[nodiscard]] send_awaiter;
  class [[nodiscard]] receive_awaiter;

  /// `value` is moved from only where it is taken.
  template <class U>
  bool try_send(U&& value) {
    const std::lock_guard lock(mutex_);
    if (closed_ || values_.size() >= capacity_) return false;
    values_.push_back(T(std::forward<U>(value)));
    tell_receivers();
    return true;
  }

  bool blocking_send(T value) {
    if (current_scheduler != nullptr) throw std::logic_error("mt_channel: blocking_send() would block a loop");
    const std::lock_guard lock(mutex_);
    if (take_from(value)) return true;
    return !closed_ && block_until_sent(&value);
  }

  std::optional<T> blocking_receive() {
    const std::lock_guard lock(mutex_);
    for (;;) {
      check_thread_may_receive();
      std::optional<T> oldest = next();
      if (oldest || closed_) return oldest;
      block_until_told();
    }
  }

  std::optional<T> try_receive() {
    const std::lock_guard lock(mutex_);
    if (current_scheduler == nullptr) return take_on_thread();
    attach();
    return nobody_receives() ? next() : std::nullopt;
  }

  std::size_t size() const noexcept {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

  void close_and_clear() noexcept {
    while (drop_oldest()) continue;
    abandon();
  }

 private:
  // Destroyed without the lock, for its destructor may use the channel.
  bool drop_oldest() noexcept {
    std::optional<T> dropped;
    const std::lock_guard lock(mutex_);
    if (values_.empty()) return false;
    dropped.emplace(std::move(values_.front()));
    values_.pop_front();
    return true;
  }

  std::optional<T> take_on_thread() {
    check_thread_may_receive();
    return next();
  }

  bool take_from(T& value) {
    if (closed_ || values_.size() >= capacity_) return false;
    values_.push_back(std::move(value));
    tell_receivers();
    return true;
  }

  // The oldest value, and its place goes to whoever has waited longest to send.
  std::optional<T> next() noexcept {
    std::optional<T> oldest;
    if (!values_.empty()) {
      oldest.emplace(std::move(values_.front()));
      values_.pop_front();
    }
    if (channel_sender* sender = senders_.pop_front()) {
      T& value = *static_cast<T*>(sender->value());
      oldest ? values_.push_back(std::move(value)) : void(oldest.emplace(std::move(value)));
      sender->settle(true);
    }
    return oldest;
  }

  bool serve(channel_receiver& receiver) noexcept override {
    std::optional<T>& got = static_cast<receive_awaiter&>(receiver).got_;
    got = next();
    return got.has_value() || closed_;
  }

  std::size_t capacity_;
  ring_queue<T> values_{8};
};

template <class T>
class channel_state<T>::send_awaiter final : public task_sender {
 public:
  template <class U>
  explicit send_awaiter(channel_state& to, U&& value) : to_(to), value_(std::forward<U>(value)) {}
  send_awaiter(send_awaiter&& other) noexcept : task_sender(other), to_(other.to_), value_(std::move(other.value_)) {}

  bool await_ready() {
    cancelled_ = cancel_requested();
    if (cancelled_) return true;
    const std::lock_guard lock(to_.mutex_);
    done_ = over_at_once();
    return done_ && within_budget();
  }
  // Why it tries again: much may have happened since await_ready().
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) {
    const std::lock_guard lock(to_.mutex_);
    if (done_ || over_at_once()) return preempt(here);
    begin_wait();
    park(here, *this);
    to_.wait_to_send(*this, &value_);
    return next_step();
  }
  bool await_cancelled() noexcept { return cancelled_; }
  bool await_resume() const {
    if (cancelled_) throw ringlet::cancelled{};
    return accepted();
  }

  void cancel() noexcept override {
    const std::lock_guard lock(to_.mutex_);
    if (!linked()) return;  // taken, or refused, and the task will hear of it
    unlink();
    cancelled_ = true;
    end_wait();
  }

 private:
  bool over_at_once() {
    set_accepted(to_.take_from(value_));
    return accepted() || to_.closed_;
  }

  channel_state& to_;
  T value_;
  bool done_ = false;
  bool cancelled_ = false;
};

template <class T>
class channel_state<T>::receive_awaiter final : public channel_receiver {
 public:
  explicit receive_awaiter(channel_state& from) noexcept : from_(from) {}
  receive_awaiter(receive_awaiter&&) = default;

  bool await_ready() {
    if (refuse_if_cancelled()) return true;
    const std::lock_guard lock(from_.mutex_);
    from_.attach();
    done_ = over_at_once();
    return done_ && within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    const std::lock_guard lock(from_.mutex_);
    if (done_ || over_at_once()) return preempt(here);
    from_.park_receiver(here, *this);
    return next_step();
  }
  std::optional<T> await_resume() {
    throw_if_cancelled();
    return std::move(got_);
  }

  void cancel() noexcept override {
    if (!linked()) return;  // it has got something, and the request is seen at the next await
    const std::lock_guard lock(from_.mutex_);
    from_.receiver_woken();
    channel_receiver::cancel();
  }

 private:
  friend class channel_state;
  bool over_at_once() noexcept { return from_.nobody_receives() && from_.serve(*this); }

  channel_state& from_;
  std::optional<T> got_;
  bool done_ = false;
};

}  // namespace detail

/// Values from any thread to the tasks of one loop, or to threads that run none; first in, first out for each sender.
/// The loop whose task first receives is the receiving one; when it ends the channel closes, and what it has left
/// behind waits for whoever receives next. A task that waits here is in no deadlock, for any thread may still send.
/// threads: any, but for what says otherwise. lifetime: outlives the awaits and calls of all its users; what is in it
/// then is destroyed with it.
template <class T>
class mt_channel {
  static_assert(std::is_object_v<T> && std::is_nothrow_move_constructible_v<T>,
                "mt_channel moves values while it holds a lock: their move constructor must be noexcept");

 public:
  /// What `capacity` may be for a channel that is never full.
  static constexpr std::size_t unbounded = static_cast<std::size_t>(-1);

  /// capacity: values that it holds before senders wait; with 0 they always wait, until a task has the value.
  explicit mt_channel(std::size_t capacity) : state_(new detail::channel_state<T>(capacity)) {}
  mt_channel(const mt_channel&) = delete;
  mt_channel& operator=(const mt_channel&) = delete;
  /// As close(). What nobody has received is destroyed.
  ~mt_channel() { state_->close_and_clear(); }

  /// `co_await c.send(value)` waits until the channel takes the value; false: it is closed, and the value is destroyed.
  /// Waiting senders are served in the order of asking. cancel: safe; cancelled means that the value was not taken.
  /// threads: the tasks of any loop.
  template <class U>
  auto send(U&& value) {
    static_assert(detail::safe_argument<U>, RINGLET_UNSAFE_ARGUMENT);
    return typename detail::channel_state<T>::send_awaiter(*state_, std::forward<U>(value));
  }

  /// Sends if there is room. False: there is none, or the channel is closed, and `value` is as it was. Never suspends.
  template <class U>
  bool try_send(U&& value) {
    return state_->try_send(std::forward<U>(value));
  }

  /// As send(), for a thread that runs no loop: blocks it. errors: std::logic_error on the thread of a loop.
  bool blocking_send(T value) { return state_->blocking_send(std::move(value)); }

  /// `co_await c.receive()` waits for a value; nullopt when the channel is closed and empty. Waiting tasks are served
  /// in the order of asking. cancel: safe; a value that is not given out stays in the channel.
  /// errors: std::logic_error when another loop receives from it, or threads do. threads: the tasks of one loop.
  auto receive() { return typename detail::channel_state<T>::receive_awaiter(*state_); }

  /// The next value if there is one that no waiting task will get; else nullopt. Never suspends, and never blocks.
  /// errors: as receive() or, on a thread that runs no loop, as blocking_receive().
  std::optional<T> try_receive() { return state_->try_receive(); }

  /// As receive(), for a thread that runs no loop: blocks it. Any number of threads may share what comes.
  /// errors: std::logic_error on the thread of a loop, and when a loop receives from it.
  std::optional<T> blocking_receive() { return state_->blocking_receive(); }

  /// Refuses values from now on, also those whose senders wait; what is in the channel can still be received. Twice is
  /// no error.
  void close() noexcept { state_->close(); }

  /// True when nothing can be sent any more.
  bool closed() const noexcept { return state_->closed(); }
  /// Values that are in the channel, those of waiting senders not counted.
  std::size_t size() const noexcept { return state_->size(); }

 private:
  detail::channel_state<T>* state_;
};

}  // namespace ringlet
