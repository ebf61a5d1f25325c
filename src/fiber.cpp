// L5 services: how a thread goes from stack to stack, and fibers; the only file that knows Boost.Context.
// SPDX-License-Identifier: MIT
#include <ringlet/fiber.hpp>

#include <ringlet/scheduler.hpp>

#include "stack_overflow.hpp"
#include "stack_pool.hpp"
#include "stack_switch.hpp"

#include <stdexcept>

#include <cxxabi.h>
#include <boost/context/detail/fcontext.hpp>

namespace ringlet::detail {

// Why not boost::context::fiber: it unwinds what is destroyed, which ringlet never does, and that doubles a switch.
using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

namespace {

/// What the C++ runtime keeps for each thread of the exceptions that are being handled. Why: a function that is left
/// inside a catch block must find its own again, whatever was caught on other stacks meanwhile.
struct exceptions_in_flight {
  void* caught = nullptr;
  unsigned uncaught = 0;
};

exceptions_in_flight& exceptions_of_thread() noexcept {
  return *reinterpret_cast<exceptions_in_flight*>(abi::__cxa_get_globals());
}

}  // namespace

/// A stack, and where on it the thread goes on.
class stack_context {
 public:
  /// The thread's own.
  stack_context() noexcept = default;

  /// A new one. This record lies on the stack itself.
  static stack_context* make_on(stack_memory memory, void (*begin)(transfer_t));
  static stack_memory destroy(stack_context* context) noexcept;

  const stack_memory& memory() const noexcept { return memory_; }

  fcontext_t resume_point = nullptr;  // of no meaning while the thread is here
  exceptions_in_flight exceptions;    // the same
  exceptions_in_flight& exceptions_of_thread = ringlet::detail::exceptions_of_thread();
  [[no_unique_address]] stack_for_sanitizers sanitizers;

 private:
  explicit stack_context(stack_memory memory) noexcept : memory_(memory) {}

  stack_memory memory_;  // none: the thread's own
};

namespace {

constinit thread_local stack_context* here = nullptr;  // where the thread is; null: on its own, as ever

[[gnu::noinline]] stack_context& stack_of_thread() noexcept {
  static thread_local stack_context own;
  return own;
}

stack_context& current_stack() noexcept {
  if (here == nullptr) [[unlikely]]
    here = &stack_of_thread();
  return *here;
}

/// The books of a thread that goes from one stack to another.
void change_stacks(stack_context& from, stack_context& to) noexcept {
  from.exceptions = std::exchange(from.exceptions_of_thread, to.exceptions);
  here = &to;
}

/// What a thread that has fibers keeps for them.
struct thread_of_fibers {
  stack_pool stacks;
  overflow_watch watch;
};

thread_of_fibers& this_thread() {
  static thread_local thread_of_fibers state;
  return state;
}

constexpr std::size_t most_stagger = 1024;

// How far below its end a stack begins. Why: the ends of all stacks alike would share the same few lines of the cache.
std::size_t stagger_of(const stack_memory& memory) noexcept {
  constexpr std::size_t cache_line = 64;
  // Why by the guard's size: a stack and its guard are mostly an odd number of these, so that neighbours differ.
  const std::size_t number = reinterpret_cast<std::uintptr_t>(memory.top()) / stack_memory::guard_size;
  return number % (most_stagger / cache_line) * cache_line;
}

}  // namespace

const stack_memory* running_stack() noexcept {
  return here == nullptr || here->memory().size() == 0 ? nullptr : &here->memory();
}

stack_context* stack_context::make_on(stack_memory memory, void (*begin)(transfer_t)) {
  constexpr std::size_t alignment = 64;
  constexpr std::size_t room = (sizeof(stack_context) + alignment - 1) / alignment * alignment;
  static_assert(room + most_stagger < stack_memory::smallest / 8);
  const std::size_t taken = room + stagger_of(memory);
  auto* const made = ::new (memory.top() - taken) stack_context(memory);
  made->sanitizers.begin(memory.bottom(), memory.size());
  made->resume_point = make_fcontext(made, memory.size() - taken, begin);
  return made;
}

stack_memory stack_context::destroy(stack_context* context) noexcept {
  const stack_memory memory = context->memory_;
  context->sanitizers.end();
  context->~stack_context();
  return memory;
}

// --- stackful

stackful::~stackful() {
  if (own_ != nullptr) give_stack_back();
}

void stackful::take_stack(std::size_t size) {
  const stack_memory memory = this_thread().stacks.take(size);
  own_ = inner_ =
      stack_context::make_on(memory, [](transfer_t from) { static_cast<stackful*>(from.data)->live(from.fctx); });
}

void stackful::give_stack_back() noexcept {
  RINGLET_CHECK(finished_, "a fiber was destroyed before its function had ended");
  this_thread().stacks.give_back(stack_context::destroy(std::exchange(own_, nullptr)));
}

void stackful::resume() noexcept {
  stack_context& from = current_stack();
  resumer_ = &from;
  change_stacks(from, *inner_);
  from.sanitizers.leave_for(inner_->sanitizers);
  const transfer_t back = jump_fcontext(inner_->resume_point, this);
  static_cast<stackful*>(back.data)->left_for(from, back.fctx);
}

// On the stack that its resumer is on.
void stackful::left_for(stack_context& to, void* place) noexcept {
  inner_ = here;
  left_at(place);
  to.sanitizers.arrive_from(inner_->sanitizers);
  change_stacks(*inner_, to);
}

void stackful::left_at(void* place) noexcept {
  inner_->resume_point = place;
}

// Gives where to jump to.
void* stackful::hand_over(stackful& other) noexcept {
  other.resumer_ = resumer_;
  other.resumed_from_ = resumed_from_;
  inner_ = here;
  change_stacks(*inner_, *other.inner_);
  return here->resume_point;
}

// The whole life of the stack.
void stackful::live(void* resumed_from) noexcept {
  resumed_from_ = resumed_from;
  own_->sanitizers.arrive_from(resumer_->sanitizers);
  run();
  finished_ = true;
  own_->sanitizers.end_with_leaving_for(resumer_->sanitizers);
  jump_fcontext(resumed_from_, this);
}

#if RINGLET_ASAN || RINGLET_TSAN
stackful::jumped stackful::jump_away(void* to, void* self) noexcept {
  const stackful& me = *static_cast<stackful*>(self);
  const bool passes_on = to != me.resumed_from_;  // and then hand_over() was here
  stack_context& from = passes_on ? *me.inner_ : *here;
  from.sanitizers.leave_for(passes_on ? here->sanitizers : me.resumer_->sanitizers);
  const transfer_t back = jump_fcontext(to, self);
  from.sanitizers.arrive_from(back.data == self ? me.resumer_->sanitizers
                                                : static_cast<stackful*>(back.data)->inner_->sanitizers);
  return {back.fctx, back.data};
}
const stackful::stack_jump stackful::leave_ = jump_away;
#else
// Why by way of void*: compilers warn of the result's other name. It is two pointers by any.
const stackful::stack_jump stackful::leave_ =
    reinterpret_cast<stackful::stack_jump>(reinterpret_cast<void*>(jump_fcontext));
#endif

// --- fiber_base

/// How far down the stack may be in use, while the thread is on a fiber's. Why: what a fiber goes on with when it
/// suspends goes on on this stack here; and no coroutine that runs on the fiber's stack shall go on there for long.
class limits_of_fiber {
 public:
  limits_of_fiber() noexcept : step_(current.lowest_step), return_(current.lowest_return) {
    current.lowest_step = stack_address() > step_ ? 0 : execution::nowhere;
    current.lowest_return = execution::nowhere;
  }
  limits_of_fiber(const limits_of_fiber&) = delete;
  limits_of_fiber& operator=(const limits_of_fiber&) = delete;
  ~limits_of_fiber() {
    current.lowest_step = step_;
    current.lowest_return = return_;
  }

 private:
  std::uintptr_t step_;
  std::uintptr_t return_;
};

/// The wait of the stand-in: begins with running the function, and lasts as long as what that awaits.
class fiber_base::turn {
 public:
  static constexpr bool is_own = true;

  explicit turn(fiber_base& fiber) noexcept : fiber_(fiber) {}
  bool await_ready() const noexcept { return false; }
  // Why flat: a return after the jumps would be mispredicted.
  [[gnu::flatten]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<task<>::promise_type> stand_in) noexcept {
    fiber_.stand_in_ = stand_in;
    fiber_.note_running();
    const limits_of_fiber limits;
    fiber_.resume();
    return std::exchange(current_fiber, nullptr)->next_;  // Why not fiber_: it may have passed on to another one
  }
  void await_resume() const noexcept {}

 private:
  fiber_base& fiber_;
};

/// One of the loop's fibers.
class fiber_base::counted {
 public:
  counted() noexcept { this_loop().fiber_began(); }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { this_loop().fiber_ended(); }
};

task<> fiber_base::stand_in(std::size_t stack_size) {
  take_stack(stack_size);
  const counted one_more;
  while (!finished()) co_await turn(*this);
  current.task->waits_in(nullptr);
}

void throw_outside_of_fiber() {
  throw std::logic_error("fiber::await() was called outside of a fiber; in a coroutine it is co_await");
}

}  // namespace ringlet::detail

namespace ringlet {

void fiber::keep_stacks(std::size_t most) noexcept {
  detail::this_thread().stacks.keep(most);
}

}  // namespace ringlet
