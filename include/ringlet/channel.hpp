// L3 sync: channels, through which tasks hand each other items; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/exchange.hpp>
#include <ringlet/detail/ring_queue.hpp>

namespace ringlet {

namespace detail {

template <class T>
struct channel_kind {
  using items = ring_queue<T>;
  static constexpr bool in_order = true;
  static constexpr const char* name = "channel";
  static constexpr const char* waits_to_send = "send to a channel";
  static constexpr const char* waits_to_receive = "receive from a channel";
  void note_accepted() const noexcept {}
};

}  // namespace detail

/// Items on their way from senders to receivers, any number of each, in the order of sending. Who waits is served in
/// the order of asking, and an item that comes while a receiver waits is that receiver's.
/// errors: what moving a T throws, to the one who sends or receives; the channel goes on.
/// threads: the loop's. lifetime: no task may wait when it is destroyed.
template <class T>
class channel : private detail::exchange<T, detail::channel_kind<T>> {
  using base = detail::exchange<T, detail::channel_kind<T>>;

 public:
  /// Awaitable; true when the item got in.
  using typename base::sender;
  /// Awaitable; an item, or std::nullopt.
  using typename base::receiver;

  /// capacity: items that are kept while nobody receives; 0: a sender waits until a receiver has come for its item;
  /// `unbounded`: any number. Memory for them is allocated here, and later only for an unbounded one.
  explicit channel(std::size_t capacity) : base(capacity) {}

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
  bool try_send(T&& item) { return base::try_send(std::move(item)); }
  /// The same, of a copy.
  bool try_send(const T& item)
    requires std::copy_constructible<T>
  {
    return base::try_send(item);
  }

  /// Empty when there is no item just now. Never suspends.
  std::optional<T> try_receive() { return this->try_take(); }

  /// No more items: whoever waits to send is given false, and the receivers are given what is there, and then
  /// std::nullopt. Twice is no error.
  void close() noexcept { base::close(); }
  /// True after close().
  bool closed() const noexcept { return base::closed(); }

  /// Items that are kept; those of waiting senders do not count.
  std::size_t size() const noexcept { return base::size(); }
};

}  // namespace ringlet
