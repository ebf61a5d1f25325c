// L0 base: counted references, and objects of one loop that count theirs without atomics; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

namespace ringlet::detail {

/// Base of objects shared by handles on one thread. T::last_reference_gone() decides what happens at zero.
template <class T>
class counted {
 public:
  void add_reference() noexcept { ++references_; }
  void drop_reference() noexcept {
    if (--references_ == 0) static_cast<T*>(this)->last_reference_gone();
  }

 protected:
  counted() = default;
  ~counted() = default;

 private:
  unsigned references_ = 0;
};

/// One counted reference; null after a move.
template <class T>
class ref {
 public:
  ref() = default;
  explicit ref(T* object) noexcept : object_(object) {
    if (object_ != nullptr) object_->add_reference();
  }
  ref(const ref& other) noexcept : ref(other.object_) {}
  ref(ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  ref& operator=(ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~ref() {
    if (object_ != nullptr) object_->drop_reference();
  }

  T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

}  // namespace ringlet::detail
