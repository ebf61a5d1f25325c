// L3 sync: what channels and queues have in common: items, and tasks that wait to bring or to get one; knows only the
// wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/late_wait.hpp>

#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringlet {

/// The capacity of a channel or queue whose senders never wait.
inline constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

namespace detail {

/// Who waits is served in the order of asking, and an item that comes while a receiver waits is that receiver's.
/// Kind says what keeps the items (Kind::items), how to call the waits in a dump, and takes note of each item that has
/// got in (note_accepted()).
template <class T, class Kind>
class exchange : protected Kind {
  static_assert(std::is_object_v<T> && std::move_constructible<T> && !std::is_const_v<T>,
                "the items of channels and queues are objects that can be moved");

 public:
  class sender;
  class receiver;

  explicit exchange(std::size_t capacity)
      : items_(capacity == unbounded ? first_places : capacity + 1), capacity_(capacity) {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;
  ~exchange() {
    RINGLET_CHECK(senders_.empty() && receivers_.empty(), "a {} was destroyed with {} tasks waiting", Kind::name,
                  senders_.size() + receivers_.size());
  }

  bool try_send(T&& item) {
    if (const receiver_place* first = receivers_.front()) {
      first->awaiter().item_.emplace(std::move(item));
      this->note_accepted();
      receivers_.wake_one();
      return true;
    }
    if (items_.size() >= capacity_ || closed_) return false;
    items_.push_back(std::move(item));
    this->note_accepted();
    return true;
  }
  bool try_send(const T& item)
    requires std::copy_constructible<T>
  {
    return can_send() && try_send(T(item));
  }

  std::optional<T> try_take() {
    std::optional<T> item;
    take(item);
    return item;
  }

  /// Drops an item, as if somebody had taken it.
  void drop_one() noexcept { items_.pop_front(); }

  void close() noexcept {
    closed_ = true;
    senders_.wake_all();
    receivers_.wake_all();
  }
  bool closed() const noexcept { return closed_; }

  std::size_t size() const noexcept { return items_.size(); }

 private:
  using sender_place = typename late_wait<sender>::place;
  using receiver_place = typename late_wait<receiver>::place;

  static constexpr std::size_t first_places = 16;

  bool can_send() const noexcept { return !receivers_.empty() || (items_.size() < capacity_ && !closed_); }

  bool take(std::optional<T>& to) {
    if (Kind::in_order && !senders_.empty()) let_in();
    if (items_.empty()) return false;
    items_.take_front(to);
    if (!Kind::in_order && !senders_.empty()) let_in();
    return true;
  }

  // Why in_order it goes in before another comes out, for which there is one place more than the capacity: when a move
  // throws, no item is lost, and without a capacity it is the same thing.
  void let_in() {
    sender& first = senders_.front()->awaiter();
    items_.push_back(std::move(first.item_));
    this->note_accepted();
    first.sent_ = true;
    senders_.wake_one();
  }

  typename Kind::items items_;  // Invariant: empty while a receiver waits, and capacity_ or more while a sender does
  std::size_t capacity_;
  bool closed_ = false;  // Invariant: nobody waits once it is
  wait_queue<sender_place> senders_;
  wait_queue<receiver_place> receivers_;
};

/// Awaitable; true when the item got in, false when it was closed before that.
template <class T, class Kind>
class [[nodiscard]] exchange<T, Kind>::sender : public late_wait<sender> {
 public:
  static constexpr const char* waits_to = Kind::waits_to_send;

  template <class... Args>
  explicit sender(exchange& to, Args&&... args) : exchange_(to), item_(std::forward<Args>(args)...) {}

  bool await_ready() {
    if (this->refuse_if_cancelled()) return true;
    sent_ = exchange_.try_send(std::move(item_));
    return (sent_ || exchange_.closed_) && within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    if (sent_ || exchange_.closed_) return preempt(here);
    this->park(here, exchange_.senders_);
    return next_step();
  }
  bool await_resume() const {
    this->throw_if_cancelled();
    return sent_;
  }

 private:
  friend class exchange;
  exchange& exchange_;
  T item_;             // moved from once it was sent
  bool sent_ = false;  // it is inside, or with a receiver
};

/// Awaitable; an item, or std::nullopt when it is closed and has no more.
template <class T, class Kind>
class [[nodiscard]] exchange<T, Kind>::receiver : public late_wait<receiver> {
 public:
  static constexpr const char* waits_to = Kind::waits_to_receive;

  explicit receiver(exchange& from) noexcept : exchange_(from) {}

  bool await_ready() {
    if (this->refuse_if_cancelled()) return true;
    return (exchange_.take(item_) || exchange_.closed_) && within_budget();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
    if (item_ || exchange_.closed_) return preempt(here);
    this->park(here, exchange_.receivers_);
    return next_step();
  }
  std::optional<T> await_resume() {
    this->throw_if_cancelled();
    // Why not all of it at once: g++ 12 would copy a small optional in one piece, and wait for both its parts.
    if (!item_) return std::nullopt;
    return std::optional<T>(std::move(*item_));
  }

 protected:
  std::optional<T> item_;  // empty: none yet, or it was closed

 private:
  friend class exchange;
  exchange& exchange_;
};

}  // namespace detail
}  // namespace ringlet
