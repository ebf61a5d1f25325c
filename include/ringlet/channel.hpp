// L3 sync: channels, through which tasks hand each other items; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/late_wait.hpp>
#include <ringlet/detail/ring_queue.hpp>

#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringlet {

/// The capacity of a channel whose senders never wait.
inline constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

/// Items on their way from senders to receivers, any number of each, in the order of sending. Who waits is served in
/// the order of asking, and an item that comes while a receiver waits is that receiver's.
/// errors: what moving a T throws, to the one who sends or receives; the channel goes on.
/// threads: the loop's. lifetime: no task may wait when it is destroyed.
template <class T>
class channel {
  static_assert(std::is_object_v<T> && std::move_constructible<T> && !std::is_const_v<T>,
                "a channel's items are objects that can be moved");

 public:
  class sender;
  class receiver;

  /// capacity: items that are kept while nobody receives; 0: a sender waits until a receiver has come for its item;
  /// `unbounded`: any number. Memory for them is allocated here, and later only for an unbounded one.
  explicit channel(std::size_t capacity)
      : items_(capacity == unbounded ? first_places : capacity + 1), capacity_(capacity) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;
  ~channel() {
    RINGLET_CHECK(senders_.empty() && receivers_.empty(), "a channel was destroyed with {} tasks waiting",
                  senders_.size() + receivers_.size());
  }

  /// Waits until there is room for the item, or a receiver; gives false when the channel is closed before that.
  /// cancel: safe; an item that got in stays in, and the cancel request is seen at the next await.
  template <class U = T>
    requires std::convertible_to<U, T>
  sender send(U&& item) {
    static_assert(detail::safe_argument<U>, RINGLET_UNSAFE_ARGUMENT " To move it, send(std::in_place, std::move(it)).");
    return sender(*this, std::forward<U>(item));
  }
  /// The same, of an item made of these arguments.
  template <class... Args>
  sender send(std::in_place_t, Args&&... args) {
    return sender(*this, std::forward<Args>(args)...);
  }

  /// Waits for an item; gives std::nullopt when the channel is closed and has no more.
  /// cancel: safe; an item that was handed over is given, any other stays, and the request is seen at the next await.
  receiver receive() noexcept { return receiver(*this); }

  /// False when it would have to wait, or the channel is closed; then the item has not been moved. Never suspends.
  bool try_send(T&& item) {
    if (const receiver_place* first = receivers_.front()) {
      first->awaiter().item_.emplace(std::move(item));
      receivers_.wake_one();
      return true;
    }
    if (items_.size() >= capacity_ || closed_) return false;
    items_.push_back(std::move(item));
    return true;
  }
  /// The same, of a copy.
  bool try_send(const T& item)
    requires std::copy_constructible<T>
  {
    return can_send() && try_send(T(item));
  }

  /// Empty when there is no item just now. Never suspends.
  std::optional<T> try_receive() {
    std::optional<T> item;
    take(item);
    return item;
  }

  /// No more items: whoever waits to send is given false, and the receivers are given what is there, and then
  /// std::nullopt. Twice is no error.
  void close() noexcept {
    closed_ = true;
    senders_.wake_all();
    receivers_.wake_all();
  }
  /// True after close().
  bool closed() const noexcept { return closed_; }

  /// Items that are kept; those of waiting senders do not count.
  std::size_t size() const noexcept { return items_.size(); }

 private:
  using sender_place = typename detail::late_wait<sender>::place;
  using receiver_place = typename detail::late_wait<receiver>::place;

  static constexpr std::size_t first_places = 16;

  bool can_send() const noexcept { return !receivers_.empty() || (items_.size() < capacity_ && !closed_); }

  bool take(std::optional<T>& to) {
    if (!senders_.empty()) let_in();
    if (items_.empty()) return false;
    to.emplace(std::move(items_.front()));
    items_.pop_front();
    return true;
  }

  // Why the waiting sender's item goes in before another comes out, for which there is one place more than the
  // capacity: when a move throws, no item is lost, and without a capacity it is the same thing.
  void let_in() {
    sender& first = senders_.front()->awaiter();
    items_.push_back(std::move(first.item_));
    first.sent_ = true;
    senders_.wake_one();
  }

  detail::ring_queue<T> items_;  // Invariant: empty while a receiver waits, and capacity_ or more while a sender does
  std::size_t capacity_;
  bool closed_ = false;  // Invariant: nobody waits once it is
  detail::wait_queue<sender_place> senders_;
  detail::wait_queue<receiver_place> receivers_;
};

/// What send() gives: awaitable, true when the item got in.
template <class T>
class [[nodiscard]] channel<T>::sender final : public detail::late_wait<sender> {
 public:
  static constexpr const char* waits_to = "send to a channel";

  template <class... Args>
  explicit sender(channel& to, Args&&... args) : channel_(to), item_(std::forward<Args>(args)...) {}

  bool await_ready() {
    if (this->refuse_if_cancelled()) return true;
    sent_ = channel_.try_send(std::move(item_));
    return (sent_ || channel_.closed_) && detail::within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    if (sent_ || channel_.closed_) return detail::preempt(here);
    this->park(here, channel_.senders_);
    return detail::next_step();
  }
  bool await_resume() const {
    this->throw_if_cancelled();
    return sent_;
  }

 private:
  friend class channel;
  channel& channel_;
  T item_;             // moved from once it was sent
  bool sent_ = false;  // it is in the channel, or with a receiver
};

/// What receive() gives: awaitable, an item or std::nullopt.
template <class T>
class [[nodiscard]] channel<T>::receiver final : public detail::late_wait<receiver> {
 public:
  static constexpr const char* waits_to = "receive from a channel";

  explicit receiver(channel& from) noexcept : channel_(from) {}

  bool await_ready() {
    if (this->refuse_if_cancelled()) return true;
    return (channel_.take(item_) || channel_.closed_) && detail::within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    if (item_ || channel_.closed_) return detail::preempt(here);
    this->park(here, channel_.receivers_);
    return detail::next_step();
  }
  std::optional<T> await_resume() {
    this->throw_if_cancelled();
    // Why not all of it at once: g++ 12 would copy a small optional in one piece, and wait for both its parts.
    if (!item_) return std::nullopt;
    return std::optional<T>(std::move(*item_));
  }

 private:
  friend class channel;
  channel& channel_;
  std::optional<T> item_;  // empty: none yet, or the channel was closed
};

}  // namespace ringlet
