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

  /// On any other stack: goes on with the function, until it suspends or has ended.
  void resume() noexcept;

  /// On its stack, or on the stack of one that it has resumed: goes on where resume() was called.
  void suspend() noexcept { resumed_from_ = leave_(resumed_from_, this).from; }

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
  static jumped jump_back(void* to, void* self) noexcept;

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
