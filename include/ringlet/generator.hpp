// L1 coroutine types: generator, the coroutine that yields values; knows only the language, no loop and no clock.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/awaitable.hpp>
#include <ringlet/detail/frame_pool.hpp>
#include <ringlet/detail/outcome.hpp>
#include <ringlet/optional_reference.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringlet {

template <class Yield, class Send = void, class Return = void>
class generator;

/// Thrown where a generator is asked for what it cannot do in its state.
class generator_error : public std::exception {
 public:
  /// why: a literal; it is not copied.
  explicit generator_error(const char* why) noexcept : why_(why) {}
  const char* what() const noexcept override { return why_; }

 private:
  const char* why_;
};

/// `co_yield elements_of(sub)` yields all that the generator sub yields, and gives what it returns.
/// errors: what sub throws. generator_error: sub is running, or it has no result left to give.
/// lifetime: sub is used up; what is sent or thrown in meanwhile reaches sub.
template <class Generator>
class elements_of {
 public:
  /// A named generator, which is used up, or a temporary one.
  explicit elements_of(Generator& sub) noexcept : sub_(&sub) {}
  explicit elements_of(Generator&& sub) noexcept : sub_(&sub) {}
  /// The generator whose elements are meant.
  Generator& sub() const noexcept { return *sub_; }

 private:
  Generator* sub_;
};

namespace detail {

template <class Yield, class Send, class Return>
class generator_promise;

/// One frame in a chain of generators that delegate to each other. The outermost frame runs the chain in a loop, always
/// the innermost frame of it. Why a loop: the stack stays flat also where the compiler makes no tail calls.
template <class Yield, class Send>
class generator_frame : public pooled {
 public:
  using optional = detail::optional<Yield>;

  std::suspend_always initial_suspend() const noexcept { return {}; }
  std::suspend_always final_suspend() const noexcept { return {}; }

  /// The wait of a co_yield: gives what was sent, or throws what was thrown in.
  class pause : public std::suspend_always {
   public:
    explicit pause(generator_frame& here) noexcept : here_(here) {}
    Send await_resume() { return here_.take_sent(); }

   private:
    generator_frame& here_;
  };

  /// The wait of a `co_yield elements_of(sub)`: gives what sub returned, or throws what it threw.
  template <class Return>
  class delegation {
   public:
    using sub_promise = generator_promise<Yield, Send, Return>;

    delegation(generator_frame& here, sub_promise* sub) noexcept : here_(here), sub_(sub) {}

    bool await_ready() const noexcept { return sub_ == nullptr || sub_->finished(); }
    void await_suspend(std::coroutine_handle<>) noexcept { here_.delegates_to_ = sub_; }
    Return await_resume() {
      const frame_owner last_use(sub_);
      if (sub_ != nullptr) return sub_->result().take();
      if constexpr (!std::is_void_v<Return>) throw generator_error("the sub-generator has no result");
    }

   private:
    generator_frame& here_;
    sub_promise* sub_;  // null: it was closed or moved away
  };

  template <class U = Yield>
    requires(!std::is_reference_v<Yield> && std::convertible_to<U &&, Yield>)
  pause yield_value(U&& value) {
    static_assert(safe_argument<U>, RINGLET_UNSAFE_ARGUMENT);
    value_.emplace(std::forward<U>(value));
    return pause(*this);
  }
  pause yield_value(Yield value)
    requires std::is_reference_v<Yield>
  {
    value_.emplace(std::addressof(value));
    return pause(*this);
  }
  template <class U>
    requires(std::is_reference_v<Yield> && !safe_argument<U>)
  pause yield_value(U&&) {
    static_assert(safe_argument<U>, RINGLET_UNSAFE_ARGUMENT);
    return pause(*this);
  }
  template <class Return>
  delegation<Return> yield_value(elements_of<generator<Yield, Send, Return>> elements) {
    return {*this, elements.sub().hand_over()};
  }

  template <class A>
  std::suspend_never await_transform(A&&) {
    static_assert(!std::is_same_v<A, A>, "a generator cannot co_await: it is synchronous and has no loop to wait in");
    return {};
  }

  bool fresh() const noexcept { return state_ == state::fresh; }
  bool running() const noexcept { return state_ == state::running; }
  bool finished() const noexcept { return here_.done(); }

  /// Runs the chain of which this is the outermost frame to its next value or its end.
  void run_chain() noexcept {
    state_ = state::running;
    do {
      innermost_->value_.reset();
      innermost_->here_.resume();
    } while (enters_sub() || leaves_sub());
    state_ = state::paused;
  }

  /// For the outermost frame: what the chain has yielded.
  stored<Yield>& value() noexcept { return *innermost_->value_; }

  /// For the outermost frame: what the paused co_yield shall give, or throw.
  template <class T>
  void put_sent(T&& value) {
    innermost_->sent_ = std::forward<T>(value);
  }
  void put_thrown(std::exception_ptr error) noexcept { innermost_->thrown_ = std::move(error); }

  /// Destroys the chain of which this is the outermost frame: the innermost first, as exceptions would, and in a loop.
  void destroy_chain() noexcept {
    for (generator_frame* frame = innermost_; frame != nullptr;) {
      generator_frame* outer = frame->outer_;
      frame->here_.destroy();
      frame = outer;
    }
  }

 protected:
  explicit generator_frame(std::coroutine_handle<> here) noexcept : here_(here) {}
  ~generator_frame() = default;

 private:
  enum class state : unsigned char { fresh, running, paused };

  class frame_owner {
   public:
    explicit frame_owner(generator_frame* frame) noexcept : frame_(frame) {}
    frame_owner(const frame_owner&) = delete;
    ~frame_owner() {
      if (frame_ != nullptr) frame_->here_.destroy();
    }

   private:
    generator_frame* frame_;
  };

  // A sub-generator that was paused before may itself delegate: its whole chain goes below.
  bool enters_sub() noexcept {
    generator_frame* sub = std::exchange(innermost_->delegates_to_, nullptr);
    if (sub == nullptr) return false;
    sub->outer_ = innermost_;
    innermost_ = sub->innermost_;
    return true;
  }

  bool leaves_sub() noexcept {
    if (!innermost_->finished() || innermost_->outer_ == nullptr) return false;
    innermost_ = innermost_->outer_;
    return true;
  }

  Send take_sent() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if constexpr (!std::is_void_v<Send>) return std::exchange(sent_, Send());
  }

  std::coroutine_handle<> here_;
  generator_frame* innermost_ = this;        // of the outermost frame: which one runs
  generator_frame* outer_ = nullptr;         // null: the outermost
  generator_frame* delegates_to_ = nullptr;  // set by a frame that pauses to let a sub-generator run
  std::optional<stored<Yield>> value_;       // what this frame has yielded, until it is resumed
  std::exception_ptr thrown_;                // null: nothing was thrown in
  [[no_unique_address]] stored<Send> sent_{};
  state state_ = state::fresh;  // of the outermost frame, for the whole chain
};

template <class Yield, class Send, class Return>
class generator_promise : public generator_frame<Yield, Send>, public ends_with<Return> {
 public:
  using handle = std::coroutine_handle<generator_promise>;

  generator_promise() noexcept : generator_frame<Yield, Send>(handle::from_promise(*this)) {}
  generator<Yield, Send, Return> get_return_object() noexcept;
};

}  // namespace detail

/// A coroutine that yields values one by one, as Python's generators do: `for (int n : countdown(3))`. It runs only
/// inside the calls below, up to its next co_yield, and starts with the first of them.
/// Yield: a value, or a reference to what lives on while the generator is paused.
/// Send: what `co_yield` gives inside: the value of send(), after next() a Send(). For "nothing" take an optional.
/// Return: what the generator returns, for result() and elements_of.
/// errors: what the body throws comes out of the call that ran it, and ends the generator.
/// lifetime: owns its frame; reference parameters must outlive it.
template <class Yield, class Send, class Return>
class [[nodiscard]] generator {
  static_assert(!std::is_rvalue_reference_v<Yield> && !std::is_void_v<Yield>, "yield a value or an lvalue reference");
  static_assert(std::is_void_v<Send> || (std::is_object_v<Send> && std::default_initializable<Send>),
                "next() sends a Send(): where there is none, make Send a std::optional");

 public:
  using promise_type = detail::generator_promise<Yield, Send, Return>;
  using optional = typename promise_type::optional;  // std::optional<Yield>, or an optional_reference
  class iterator;
  class sentinel {};  // Why not std::default_sentinel_t: <iterator> is larger than all the rest

  generator(generator&& other) noexcept : frame_(other.release()) {}
  generator& operator=(generator&& other) noexcept {
    if (this != &other) {
      destroy();
      frame_ = other.release();
    }
    return *this;
  }
  ~generator() { destroy(); }

  /// Runs to the next value and moves it out; nullopt: the generator has ended.
  /// errors: generator_error when called from inside the generator; this goes for all calls below.
  optional next() {
    advance();
    if (done()) return optional();
    if constexpr (std::is_reference_v<Yield>) {
      return optional(*frame_->value());
    } else {
      return optional(std::move(frame_->value()));
    }
  }

  /// next(), with value as what the paused co_yield gives. After the end the value is dropped.
  /// errors: generator_error before the first next(): no co_yield waits yet.
  optional send(detail::stored<Send> value)
    requires(!std::is_void_v<Send>)
  {
    if (!done()) {
      if (frame_->fresh()) throw generator_error("send() to a generator that has not started: call next() first");
      frame_->put_sent(std::move(value));
    }
    return next();
  }

  /// next(), with error thrown by the paused co_yield. Before the first next() this ends the generator; there and after
  /// the end the error comes straight back.
  optional throw_in(std::exception_ptr error) {
    RINGLET_CHECK(error, "throw_in() was given no exception");
    const bool can_catch_it = !done() && !frame_->fresh();
    if (!can_catch_it) {
      if (!done()) close();
      std::rethrow_exception(error);
    }
    frame_->put_thrown(std::move(error));
    return next();
  }
  template <class E>
    requires(!std::convertible_to<E &&, std::exception_ptr>)
  optional throw_in(E&& error) {
    return throw_in(std::make_exception_ptr(std::forward<E>(error)));
  }

  /// Ends the generator where it is paused: what lives in it is destroyed, innermost sub-generator first.
  void close() {
    check_not_running();
    destroy();
  }

  /// True: it has ended, and next() gives nullopt from now on.
  bool done() const {
    check_not_running();
    return frame_ == nullptr || frame_->finished();
  }

  /// What the generator returned, after its end.
  /// errors: generator_error when it has not returned, or was closed.
  std::add_lvalue_reference_t<Return> result() {
    if (frame_ == nullptr || !done()) throw generator_error("result() of a generator that has not returned");
    if constexpr (std::is_lvalue_reference_v<Return>) {
      return *frame_->result().value();
    } else if constexpr (!std::is_void_v<Return>) {
      return frame_->result().value();
    }
  }

  /// Runs to the next value, and goes on from where the generator is: what was yielded before is not repeated.
  iterator begin() {
    advance();
    return iterator(*this);
  }
  /// What begin() is compared with.
  sentinel end() const noexcept { return {}; }

 private:
  friend promise_type;
  template <class, class>
  friend class detail::generator_frame;

  explicit generator(promise_type& frame) noexcept : frame_(&frame) {}

  void check_not_running() const {
    if (frame_ != nullptr && frame_->running()) throw generator_error("the generator is already running");
  }

  void advance() {
    if (done()) return;
    frame_->run_chain();
    if (frame_->finished() && !frame_->result().has_value()) {
      const generator failed(std::move(*this));
      failed.frame_->result().take();
    }
  }

  // Null where there is no frame. Leaves the generator ended.
  promise_type* release() noexcept {
    RINGLET_CHECK(frame_ == nullptr || !frame_->running(), "a generator was moved or destroyed from inside");
    return std::exchange(frame_, nullptr);
  }

  promise_type* hand_over() {
    check_not_running();
    return release();
  }

  void destroy() noexcept {
    if (promise_type* frame = release()) frame->destroy_chain();
  }

  promise_type* frame_;  // null: closed, moved away, used up or ended by an exception
};

/// For range-for and std::ranges: an input iterator. lifetime: the generator stays where it is.
template <class Yield, class Send, class Return>
class generator<Yield, Send, Return>::iterator {
 public:
  using value_type = std::remove_cvref_t<Yield>;
  using difference_type = std::ptrdiff_t;

  explicit iterator(generator& of) noexcept : of_(&of) {}

  /// A value may be moved out; a reference is the one yielded.
  Yield&& operator*() const noexcept {
    if constexpr (std::is_reference_v<Yield>) {
      return *of_->frame_->value();
    } else {
      return std::move(of_->frame_->value());
    }
  }
  iterator& operator++() {
    of_->advance();
    return *this;
  }
  void operator++(int) { of_->advance(); }
  friend bool operator==(const iterator& at, sentinel) { return at.of_->done(); }

 private:
  generator* of_;
};

template <class Yield, class Send, class Return>
generator<Yield, Send, Return> detail::generator_promise<Yield, Send, Return>::get_return_object() noexcept {
  return generator<Yield, Send, Return>(*this);
}

}  // namespace ringlet
