// L5 services: generators whose values come from any depth of plain calls; knows stacks.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/fiber.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace ringlet {

/// What the function of a stackful_generator gives its values to.
template <class T>
class yielder {
 public:
  yielder(const yielder&) = delete;
  yielder& operator=(const yielder&) = delete;

  /// Hands the value over and suspends the stack until the next one is asked for. cancel: throws `cancelled` when no
  /// more will be asked for; let it pass. lifetime: the value may be moved from.
  void operator()(T value) { hand_over(value); }

 protected:
  yielder() = default;
  ~yielder() = default;

 private:
  virtual void hand_over(T& value) = 0;
};

/// Runs a plain function on a stack of its own, value by value: the function calls yield(value), from any depth of
/// what it calls. It runs only inside the calls below, and starts with the first of them. Inside a fiber it may
/// fiber::await(); one call at a time. errors: what the function throws comes out of the call that ran it, and ends the
/// generator; from the first call, those of a stack, as in in_fiber(). threads: one, and the generator ends before
/// that. lifetime: of what the function refers to, as long as the generator.
template <class T>
class [[nodiscard]] stackful_generator {
 public:
  class iterator;
  class sentinel {};

  /// function: (yielder<T>&) -> void; it is copied or moved.
  template <class F>
    requires std::invocable<std::decay_t<F>&, yielder<T>&>
  explicit stackful_generator(F&& function, fiber::stack_size size = fiber::stack_size(fiber::default_stack_size))
      : walk_(new walk_of<std::decay_t<F>>(std::forward<F>(function), size.bytes())) {}

  stackful_generator(stackful_generator&& other) noexcept : walk_(std::exchange(other.walk_, nullptr)) {}
  stackful_generator& operator=(stackful_generator&& other) noexcept {
    std::swap(walk_, other.walk_);
    return *this;
  }
  /// Unwinds the stack, if the function has not ended. Errors thrown meanwhile are dropped.
  ~stackful_generator() {
    if (walk_ == nullptr) return;
    walk_->unwind();
    delete walk_;
  }

  /// Runs to the next value and moves it out; nullopt: the function has ended.
  std::optional<T> next() {
    advance();
    if (done()) return std::nullopt;
    return std::move(walk_->value());
  }

  /// True: it has ended, or was moved away, and next() gives nullopt from now on.
  bool done() const noexcept { return walk_ == nullptr || walk_->finished(); }

  /// Runs to the next value, and goes on from where the generator is.
  iterator begin() {
    advance();
    return iterator(*this);
  }
  /// What begin() is compared with.
  sentinel end() const noexcept { return {}; }

 private:
  class walk;
  template <class F>
  class walk_of;

  void advance() {
    if (!done()) walk_->advance();
  }

  walk* walk_;  // null: moved away
};

/// The stack, seen from outside.
template <class T>
class stackful_generator<T>::walk : public detail::stackful, public yielder<T> {
 public:
  explicit walk(std::size_t stack_size) noexcept : stack_size_(stack_size) {}
  virtual ~walk() = default;

  T& value() const noexcept { return *value_; }

  void advance() {
    if (!this->has_stack()) this->take_stack(stack_size_);
    run_on();
    if (!this->finished()) return;
    this->give_stack_back();
    result_.take();
  }

  void unwind() noexcept {
    if (!this->has_stack()) return;
    unwinding_ = true;
    run_on();
  }

 protected:
  detail::outcome<void> result_;

 private:
  void run_on() noexcept {
    RINGLET_CHECK(!running_, "a stackful_generator was used while its function ran");
    running_ = true;
    this->resume();
    running_ = false;
  }

  void hand_over(T& value) override {
    value_ = &value;
    if (!unwinding_) this->suspend();
    if (unwinding_) throw cancelled{};
  }

  std::size_t stack_size_;
  T* value_ = nullptr;      // the one yielded last; it lies on the suspended stack
  bool running_ = false;    // or waits in a fiber
  bool unwinding_ = false;  // no value is asked for any more
};

/// The stack with its function.
template <class T>
template <class F>
class stackful_generator<T>::walk_of final : public walk {
 public:
  template <class G>
  walk_of(G&& function, std::size_t stack_size) : walk(stack_size), function_(std::forward<G>(function)) {}

 private:
  void run() noexcept override {
    detail::call_into(this->result_, [this] { function_(static_cast<yielder<T>&>(*this)); });
  }

  F function_;
};

/// For range-for: an input iterator. lifetime: the generator stays where it is.
template <class T>
class stackful_generator<T>::iterator {
 public:
  using value_type = T;
  using difference_type = std::ptrdiff_t;

  explicit iterator(stackful_generator& of) noexcept : of_(&of) {}

  /// May be moved from.
  T& operator*() const noexcept { return of_->walk_->value(); }
  iterator& operator++() {
    of_->advance();
    return *this;
  }
  void operator++(int) { of_->advance(); }
  friend bool operator==(const iterator& at, sentinel) noexcept { return at.of_->done(); }

 private:
  stackful_generator* of_;
};

}  // namespace ringlet
