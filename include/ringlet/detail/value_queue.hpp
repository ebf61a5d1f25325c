// L0 base: a queue of values that allocates only where it is told to; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

namespace ringlet::detail {

/// First in, first out, in a ring that grows and never shrinks.
template <class T>
class value_queue {
 public:
  value_queue() = default;
  value_queue(const value_queue&) = delete;
  value_queue& operator=(const value_queue&) = delete;
  ~value_queue() { delete[] slots_; }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  void swap(value_queue& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(room_, other.room_);
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
  }

  /// Makes room for one more, so that the next push() allocates nothing.
  void make_room() {
    if (size_ < room_) return;
    const std::size_t larger = room_ == 0 ? 8 : 2 * room_;
    auto* const slots = new std::optional<T>[larger];
    for (std::size_t at = 0; at < size_; ++at) slots[at] = std::move(slots_[place(at)]);
    delete[] std::exchange(slots_, slots);
    room_ = larger;
    first_ = 0;
  }

  /// There must be room.
  void push(T&& value) noexcept {
    slots_[place(size_)].emplace(std::move(value));
    ++size_;
  }

  /// There must be a value.
  T pop() noexcept {
    std::optional<T>& slot = slots_[first_];
    T value = std::move(*slot);
    slot.reset();
    first_ = place(1);
    --size_;
    return value;
  }

 private:
  std::size_t place(std::size_t after_first) const noexcept {
    const std::size_t at = first_ + after_first;
    return at < room_ ? at : at - room_;
  }

  std::optional<T>* slots_ = nullptr;  // null: none yet
  std::size_t room_ = 0;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace ringlet::detail
