// L3 sync: what queues keep items in that come out in another order than they went in; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringlet::detail {

/// Last in, first out. Has what exchange asks of ring_queue.
template <class T>
class item_stack {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "items that do not come out in order must move without errors");

 public:
  explicit item_stack(std::size_t places) { items_.reserve(places); }

  bool empty() const noexcept { return items_.empty(); }
  std::size_t size() const noexcept { return items_.size(); }
  void push_back(T&& item) { items_.push_back(std::move(item)); }
  void pop_front() noexcept { items_.pop_back(); }
  void take_front(std::optional<T>& to) noexcept {
    to.emplace(std::move(items_.back()));
    items_.pop_back();
  }

 private:
  std::vector<T> items_;
};

struct less_than {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return a < b;
  }
};

/// The least comes out first, and of equal ones the oldest. Has what exchange asks of ring_queue.
/// Why not the algorithms of the library: they take several times as long to compile as all else here.
template <class T, class Less>
class item_heap {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>,
                "items that do not come out in order must move without errors");
  static_assert(std::is_class_v<Less> && std::is_default_constructible_v<Less>,
                "a priority_queue compares by a Less(): a class with operator(), not a pointer to a function");

 public:
  explicit item_heap(std::size_t places) { items_.reserve(places); }

  bool empty() const noexcept { return items_.empty(); }
  std::size_t size() const noexcept { return items_.size(); }
  void push_back(T&& item) {
    items_.push_back({std::move(item), next_number_++});
    rise(items_.size() - 1);
  }
  void pop_front() noexcept {
    std::swap(items_.front(), items_.back());
    items_.pop_back();
    sink();
  }
  void take_front(std::optional<T>& to) noexcept {
    to.emplace(std::move(items_.front().item));
    pop_front();
  }

 private:
  struct numbered {
    T item;
    std::uint64_t number;
  };

  bool comes_before(std::size_t a, std::size_t b) const {
    const Less less{};
    const numbered &first = items_[a], &second = items_[b];
    if (less(first.item, second.item)) return true;
    return !less(second.item, first.item) && first.number < second.number;
  }
  void rise(std::size_t place) {
    while (place > 0) {
      const std::size_t above = (place - 1) / 2;
      if (!comes_before(place, above)) return;
      std::swap(items_[place], items_[above]);
      place = above;
    }
  }
  void sink() {
    std::size_t place = 0;
    for (std::size_t below = 1; below < items_.size(); below = 2 * place + 1) {
      const bool right_is_first = below + 1 < items_.size() && comes_before(below + 1, below);
      if (right_is_first) ++below;
      if (!comes_before(below, place)) return;
      std::swap(items_[place], items_[below]);
      place = below;
    }
  }

  std::vector<numbered> items_;  // Invariant: none comes before the one at (its place - 1) / 2
  std::uint64_t next_number_ = 0;
};

}  // namespace ringlet::detail
