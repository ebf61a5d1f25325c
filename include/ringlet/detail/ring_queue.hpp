// L0 base: a queue in one piece of memory, whose places are used round and round; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <limits>
#include <new>
#include <optional>
#include <utility>

namespace ringlet::detail {

/// First in, first out. Allocates only when it has more elements than it has places.
/// errors: what moving a T throws; a push that throws changes nothing, unless it had to grow and T can only be moved.
template <class T>
class ring_queue {
 public:
  /// places: at least so many. errors: std::bad_alloc.
  explicit ring_queue(std::size_t places) : mask_(round_up(places) - 1), elements_(allocate(mask_ + 1)) {}
  ring_queue(const ring_queue&) = delete;
  ring_queue& operator=(const ring_queue&) = delete;
  ~ring_queue() {
    while (!empty()) pop_front();
    ::operator delete(elements_, alignment);
  }

  bool empty() const noexcept { return begin_ == end_; }
  std::size_t size() const noexcept { return end_ - begin_; }

  void push_back(T&& element) {
    if (size() > mask_) [[unlikely]]
      grow();
    ::new (static_cast<void*>(elements_ + (end_ & mask_))) T(std::move(element));
    ++end_;
  }

  /// The oldest element, if there is one.
  T& front() noexcept { return elements_[begin_ & mask_]; }
  void pop_front() noexcept {
    front().~T();
    ++begin_;
  }
  /// Moves the oldest element into `to`. When the move throws, it stays.
  void take_front(std::optional<T>& to) {
    to.emplace(std::move(front()));
    pop_front();
  }

 private:
  static constexpr std::align_val_t alignment{alignof(T)};
  static constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 2 / sizeof(T);

  static std::size_t round_up(std::size_t places) {
    if (places > most) throw std::bad_array_new_length();
    return std::bit_ceil(places);
  }
  void grow();

  static T* allocate(std::size_t places) { return static_cast<T*>(::operator new(places * sizeof(T), alignment)); }

  std::size_t mask_;  // the number of places, which is a power of two, less one
  T* elements_;
  std::size_t begin_ = 0;  // number of the oldest element since the queue began; its place is that & mask_
  std::size_t end_ = 0;    // of the next one to come
};

// Why not in the class: it is not to be inlined where it is hardly ever needed.
template <class T>
void ring_queue<T>::grow() {
  ring_queue larger(2 * size());
  for (; larger.size() < size(); ++larger.end_) {
    T& next = elements_[(begin_ + larger.end_) & mask_];
    ::new (static_cast<void*>(larger.elements_ + larger.end_)) T(std::move_if_noexcept(next));
  }
  std::swap(mask_, larger.mask_);
  std::swap(elements_, larger.elements_);
  std::swap(begin_, larger.begin_);
  std::swap(end_, larger.end_);
}

}  // namespace ringlet::detail
