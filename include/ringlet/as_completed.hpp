// L3 scopes: jobs and futures, one by one as they end; knows nurseries and channels.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/channel.hpp>
#include <ringlet/detail/ref.hpp>
#include <ringlet/nursery.hpp>

#include <cstddef>
#include <vector>

namespace ringlet {

namespace detail {

/// The numbers of those that have ended, in this order. It has a place for each from the beginning, so that to note one
/// cannot fail. Why the count is atomic: a worker drops the callback of a loop that has ended. Why not by std::atomic:
/// its header costs more than all of this one.
class completions {
 public:
  explicit completions(std::size_t count) : ended_(count), left_(count) { close_if_complete(); }

  void add_reference() noexcept { __atomic_add_fetch(&references_, 1, __ATOMIC_RELAXED); }
  void drop_reference() noexcept {
    if (__atomic_sub_fetch(&references_, 1, __ATOMIC_ACQ_REL) == 0) delete this;
  }

  void note(std::size_t number) noexcept {
    ended_.try_send(number);
    --left_;
    close_if_complete();
  }
  channel<std::size_t>& ended() noexcept { return ended_; }

 private:
  void close_if_complete() noexcept {
    if (left_ == 0) ended_.close();
  }

  int references_ = 0;
  channel<std::size_t> ended_;
  std::size_t left_;
};

/// Hears of the end of one of them; of what calls back, as a future does, when it is done. Moves until begin().
template <class T>
class completion_watch {
 public:
  completion_watch(const T&, std::size_t number, const ref<completions>& to) : number_(number), to_(to) {}

  // Why what is called refers to nothing here: it may be when the stream has gone.
  void begin(T& of) {
    of.on_done([number = number_, to = to_] { to->note(number); });
  }

 private:
  std::size_t number_;
  ref<completions> to_;
};

template <class R>
class completion_watch<job<R>> final : public child_base::join_wait {
 public:
  completion_watch(const job<R>& of, std::size_t number, const ref<completions>& to)
      : join_wait(*of.child_), number_(number), to_(to) {}
  completion_watch(const completion_watch&) = default;
  completion_watch& operator=(const completion_watch&) = delete;
  ~completion_watch() {
    if (this->linked()) this->unlink();
  }

  void begin(const job<R>& of) noexcept {
    if (of.done()) {
      to_->note(number_);
    } else {
      of.child_->joiners().add(*this);
    }
  }
  void child_finished() noexcept override { to_->note(number_); }

 private:
  std::size_t number_;
  ref<completions> to_;
};

}  // namespace detail

/// What as_completed() gives. threads: the loop's. lifetime: no task may wait in next() when it is destroyed.
template <class T>
class completion_stream {
 public:
  /// errors: std::bad_alloc.
  explicit completion_stream(std::vector<T> items)
      : items_(std::move(items)), completions_(new detail::completions(items_.size())) {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      watches_.emplace_back(items_[i], i, completions_);
    }
    for (std::size_t i = 0; i < items_.size(); ++i) watches_[i].begin(items_[i]);
  }

  completion_stream(completion_stream&&) noexcept = default;
  completion_stream& operator=(completion_stream&&) = delete;

  class [[nodiscard]] awaiter final : public channel<std::size_t>::receiver {
   public:
    explicit awaiter(completion_stream& s) noexcept : receiver(s.completions_->ended().receive()), stream_(s) {}
    std::optional<T> await_resume() {
      const std::optional<std::size_t> number = receiver::await_resume();
      if (!number) return std::nullopt;
      return std::move(stream_.items_[*number]);
    }

   private:
    completion_stream& stream_;
  };

  /// Waits for the next one to end; gives it, or std::nullopt when all were given. cancel: safe; none is lost.
  awaiter next() noexcept { return awaiter(*this); }

 private:
  std::vector<T> items_;
  detail::ref<detail::completions> completions_;
  std::vector<detail::completion_watch<T>> watches_;
};

/// Jobs or futures in the order in which they end, however they do: `while (auto f = co_await stream.next())`. Their
/// results are asked of each that comes. Those that have ended before come first, in the order of the range.
/// threads: the loop's. errors: std::bad_alloc.
template <class Range>
auto as_completed(Range&& items) {
  std::remove_cvref_t<Range> taken = detail::hold_range(std::forward<Range>(items));
  using item = std::remove_cvref_t<decltype(*taken.begin())>;
  std::vector<item> all;
  for (auto& each : taken) all.push_back(std::move(each));
  return completion_stream<item>(std::move(all));
}

}  // namespace ringlet
