// L3 sync: queues of work, whose workers say when an item is done; knows only the wait queue.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/exchange.hpp>
#include <ringlet/detail/queue_items.hpp>
#include <ringlet/detail/ring_queue.hpp>

#include <stdexcept>

namespace ringlet {

/// Thrown by put() to, and get() from, a queue that is closed and has nothing more.
class queue_closed : public std::runtime_error {
 public:
  /// Says no more than that.
  queue_closed() : std::runtime_error("the queue is closed") {}
};

/// What close() does with the items that nobody has taken.
enum class closing : unsigned char {
  drain,  // get() gives them, and only then queue_closed
  now,    // they are dropped, and count as done
};

namespace detail {

/// Counts the items that were put in and are not done.
class unfinished_items {
 public:
  unfinished_items() = default;
  unfinished_items(const unfinished_items&) = delete;
  unfinished_items& operator=(const unfinished_items&) = delete;
  ~unfinished_items() {
    RINGLET_CHECK(waits_.empty(), "a queue was destroyed with {} tasks waiting to join it", waits_.size());
  }

  class [[nodiscard]] joiner final : public late_wait<joiner> {
   public:
    static constexpr const char* waits_to = "join a queue";

    explicit joiner(unfinished_items& items) noexcept : items_(items) {}
    bool await_ready() noexcept { return refuse_if_cancelled() || (items_.count_ == 0 && within_budget()); }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> here) noexcept {
      if (items_.count_ == 0) return preempt(here);
      park(here, items_.waits_);
      return next_step();
    }
    void await_resume() const { throw_if_cancelled(); }

   private:
    unfinished_items& items_;
  };

  std::size_t count() const noexcept { return count_; }
  void note_done() noexcept {
    if (--count_ == 0) waits_.wake_all();
  }

 protected:
  void note_accepted() noexcept { ++count_; }

 private:
  std::size_t count_ = 0;
  wait_queue<joiner::place> waits_;
};

template <class Items, bool InOrder>
struct queue_kind : unfinished_items {
  using items = Items;
  static constexpr bool in_order = InOrder;
  static constexpr const char* name = "queue";
  static constexpr const char* waits_to_send = "put into a queue";
  static constexpr const char* waits_to_receive = "get from a queue";
};

/// All kinds of queues; they differ in which item comes out next.
template <class T, class Kind>
class basic_queue : private exchange<T, Kind> {
  using base = exchange<T, Kind>;

 public:
  /// Awaitable; gives nothing.
  class [[nodiscard]] putter final : public base::sender {
   public:
    using base::sender::sender;
    void await_resume() const {
      if (!base::sender::await_resume()) throw queue_closed();
    }
  };

  /// Awaitable; gives an item.
  class [[nodiscard]] getter final : public base::receiver {
   public:
    using base::receiver::receiver;
    T await_resume() {
      this->throw_if_cancelled();
      if (!this->item_) throw queue_closed();
      return std::move(*this->item_);
    }
  };

  /// max: items that are kept while nobody gets them, and put() waits when there are so many; `unbounded`, or 0 as in
  /// Python: any number. Memory for them is allocated here, and later only for an unbounded one.
  /// errors: std::bad_alloc; std::length_error.
  explicit basic_queue(std::size_t max = unbounded) : base(max == 0 ? unbounded : max) {}

  /// Waits until there is room for the item. errors: queue_closed when the queue is, or is closed before that.
  /// cancel: safe; an item that got in stays in, and the cancel request is seen at the next await.
  template <class U = T>
    requires std::convertible_to<U, T>
  putter put(U&& item) {
    static_assert(safe_argument<U>, RINGLET_UNSAFE_ARGUMENT " To move it, put(std::in_place, std::move(it)).");
    return putter(*this, std::forward<U>(item));
  }
  /// The same, of an item made of these arguments.
  template <class... Args>
  putter put(std::in_place_t, Args&&... args) {
    return putter(*this, std::forward<Args>(args)...);
  }

  /// Waits for an item. errors: queue_closed when the queue is closed and has no more.
  /// cancel: safe; an item that was handed over is given, any other stays, and the request is seen at the next await.
  getter get() noexcept { return getter(*this); }

  /// False when the queue is full or closed; then the item has not been moved. Never suspends.
  bool try_put(T&& item) { return base::try_send(std::move(item)); }
  /// The same, of a copy.
  bool try_put(const T& item)
    requires std::copy_constructible<T>
  {
    return base::try_send(item);
  }

  /// Empty when there is no item just now. Never suspends.
  std::optional<T> try_get() { return this->try_take(); }

  /// An item that came out is done with. errors: std::logic_error when none is left that could be.
  void task_done() {
    if (unfinished() == this->size()) throw std::logic_error("task_done: called more often than items came out");
    this->note_done();
  }
  /// Waits until every item that was put in is done. Nothing to wait for when there is none. cancel: safe.
  unfinished_items::joiner join() noexcept { return unfinished_items::joiner(*this); }
  /// Items that were put in and are not done yet.
  std::size_t unfinished() const noexcept { return this->count(); }

  /// No more items: whoever waits to put one in gets queue_closed, and so does whoever gets when there is nothing
  /// left. Once more, with closing::now, drops what is left then.
  void close(closing how = closing::drain) noexcept {
    base::close();
    if (how == closing::drain) return;
    while (this->size() > 0) {
      this->drop_one();
      this->note_done();
    }
  }
  /// True after close().
  bool closed() const noexcept { return base::closed(); }

  /// Items that nobody has got yet; those of tasks that wait to put one in do not count.
  std::size_t size() const noexcept { return base::size(); }
};

}  // namespace detail

/// Items for workers, first in, first out. Who waits is served in the order of asking, and an item that comes while a
/// task waits for one is that task's.
/// errors: what moving a T throws, to the one who puts or gets; the queue goes on.
/// threads: the loop's; between threads there is mt_channel. lifetime: no task may wait when it is destroyed.
template <class T>
class queue : public detail::basic_queue<T, detail::queue_kind<detail::ring_queue<T>, true>> {
 public:
  using queue::basic_queue::basic_queue;
};

/// As queue, but what was put in last comes out first. T: its move must not throw.
template <class T>
class lifo_queue : public detail::basic_queue<T, detail::queue_kind<detail::item_stack<T>, false>> {
 public:
  using lifo_queue::basic_queue::basic_queue;
};

/// As queue, but the least item comes out first, and of equal ones the one that was put in first. T: its move must not
/// throw. Less: one made by Less() compares two items, and must not throw.
template <class T, class Less = detail::less_than>
class priority_queue : public detail::basic_queue<T, detail::queue_kind<detail::item_heap<T, Less>, false>> {
 public:
  using priority_queue::basic_queue::basic_queue;
};

}  // namespace ringlet
