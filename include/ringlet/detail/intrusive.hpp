// L0 base: lists whose links live in their elements, so that linking allocates nothing; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/check.hpp>

#include <cstddef>
#include <utility>

namespace ringlet::detail {

/// First in, first out, through one pointer in each element; or a stack, with push_front. An element is in at most one
/// queue per link.
template <class T, T* T::* Next>
class intrusive_queue {
 public:
  intrusive_queue() = default;
  intrusive_queue(intrusive_queue&& other) noexcept
      : head_(std::exchange(other.head_, nullptr)), tail_(std::exchange(other.tail_, nullptr)) {}
  intrusive_queue& operator=(intrusive_queue&& other) noexcept {
    head_ = std::exchange(other.head_, nullptr);
    tail_ = std::exchange(other.tail_, nullptr);
    return *this;
  }

  bool empty() const noexcept { return head_ == nullptr; }

  void push_back(T& element) noexcept {
    element.*Next = nullptr;
    if (head_ == nullptr) {
      head_ = &element;
    } else {
      tail_->*Next = &element;
    }
    tail_ = &element;
  }

  void push_front(T& element) noexcept {
    if (head_ == nullptr) tail_ = &element;
    element.*Next = head_;
    head_ = &element;
  }

  /// The first element; null when empty.
  T* front() const noexcept { return head_; }

  /// The first element, taken out; null when empty.
  T* pop_front() noexcept {
    T* first = head_;
    if (first != nullptr) head_ = first->*Next;
    return first;
  }

  /// The first element, linked to all the others; the queue is empty then.
  T* take_all() noexcept { return std::exchange(head_, nullptr); }

  /// Counts the elements, one by one.
  std::size_t size() const noexcept { return size(head_); }

  /// Counts an element and what is linked to it.
  static std::size_t size(const T* first) noexcept {
    std::size_t count = 0;
    for (const T* element = first; element != nullptr; element = element->*Next) ++count;
    return count;
  }

 private:
  T* head_ = nullptr;  // null: empty
  T* tail_ = nullptr;  // meaningful only while head_ is not null
};

/// The links of an element of an intrusive_list. Unlinks in constant time without knowing the list.
class list_links {
 public:
  list_links() = default;
  list_links(const list_links&) = delete;
  list_links& operator=(const list_links&) = delete;

  bool linked() const noexcept { return next_ != nullptr; }

  void unlink() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }

 private:
  template <class, class>
  friend class intrusive_list;

  list_links* previous_ = nullptr;
  list_links* next_ = nullptr;  // null: in no list
};

/// A ring of elements. T derives from Links, and Links from list_links; distinct Links let T be in several lists.
template <class T, class Links = list_links>
class intrusive_list {
 public:
  intrusive_list() noexcept { head_.previous_ = head_.next_ = &head_; }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;
  ~intrusive_list() { RINGLET_CHECK(empty(), "a list was destroyed with elements in it"); }

  bool empty() const noexcept { return head_.next_ == &head_; }

  void push_back(T& element) noexcept {
    list_links& links = static_cast<Links&>(element);
    links.previous_ = head_.previous_;
    links.next_ = &head_;
    head_.previous_->next_ = &links;
    head_.previous_ = &links;
  }

  T* front() const noexcept { return at(head_.next_); }

  /// The element after this one; null after the last.
  T* after(const T& element) const noexcept { return at(static_cast<const Links&>(element).next_); }

  T* pop_front() noexcept {
    T* first = front();
    if (first != nullptr) static_cast<Links&>(*first).unlink();
    return first;
  }

 private:
  // Why by references: pointers would be asked whether they are null.
  T* at(list_links* links) const noexcept {
    return links == &head_ ? nullptr : &static_cast<T&>(static_cast<Links&>(*links));
  }

  list_links head_;
};

}  // namespace ringlet::detail
