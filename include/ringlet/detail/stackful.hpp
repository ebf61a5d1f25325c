// L5 services: a plain function on a stack of its own, in turns with whoever resumes it; knows no Boost.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace ringlet::detail {

class stack_context;

/// A function that runs on a stack of its own, and can be left in the middle of whatever it has called. All of it on
/// one thread.
class stackful {
 public:
  stackful(const stackful&) = delete;
  stackful& operator=(const stackful&) = delete;

  /// On any other stack: goes on with the function, until it suspends or has ended. Where it has passed on to another
  /// one, until that has.
  void resume() noexcept;

  /// On its stack, or on the stack of one that it has resumed: goes on where resume() was called.
  void suspend() noexcept { come_back(leave_(resumed_from_, this)); }

  /// The same, but goes on with `other`, which is suspended, and which will go back where this one would have.
  void pass_on_to(stackful& other) noexcept { come_back(leave_(hand_over(other), this)); }

  bool has_stack() const noexcept { return own_ != nullptr; }
  bool finished() const noexcept { return finished_; }

 protected:
  stackful() = default;
  ~stackful();

  /// Before the first resume(). errors: os_error.
  void take_stack(std::size_t size);

  /// The stack may go; the function has ended.
  void give_stack_back() noexcept;

 private:
  /// Boost's transfer_t by another name.
  struct jumped {
    void* from;
    void* message;
  };
  using stack_jump = jumped (*)(void* to, void* message) noexcept;

  virtual void run() noexcept = 0;
  void live(void* resumed_from) noexcept;
  void* hand_over(stackful& other) noexcept;
  void left_at(void* place) noexcept;
  void left_for(stack_context& to, void* place) noexcept;
  static jumped jump_away(void* to, void* self) noexcept;

  // The message is who has passed on to this one, or this itself where resume() was called.
  void come_back(jumped from) noexcept {
    if (from.message == this) {
      resumed_from_ = from.from;
    } else {
      static_cast<stackful*>(from.message)->left_at(from.from);
    }
  }

  // Why a pointer, and suspend() in line: each return on another stack than the call was made on is mispredicted, and
  // that takes longer than the jump itself.
  static const stack_jump leave_;

  stack_context* own_ = nullptr;      // null: no stack
  stack_context* inner_ = nullptr;    // where it goes on: on its own stack, or on that of one it has resumed
  stack_context* resumer_ = nullptr;  // whom it goes back to
  void* resumed_from_ = nullptr;      // and where on that one
  bool finished_ = false;
};

}  // namespace ringlet::detail
