// L5 services: the handler behind signal_set, and who waits for what it counts; knows signals and event descriptors.
// SPDX-License-Identifier: MIT
#include <ringlet/signal.hpp>

#include <ringlet/cancel.hpp>
#include <ringlet/fd.hpp>
#include <ringlet/io.hpp>

#include "event_fd.hpp"
#include "signal_claim.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <poll.h>
#include <signal.h>
#include <unistd.h>

namespace ringlet {
namespace detail {
namespace {

/// What the handler knows of a signal.
struct caught {
  std::atomic<int> event{-1};           // of the set that has the signal; -1: none has
  std::atomic<std::uint64_t> count{0};  // have come, and nobody has taken them
};
constinit caught caught_signals[NSIG];
constinit std::atomic<int> handlers_running{0};  // on whatever threads

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a signal handler must not take a lock");

// Invariant: it counts first and writes then; who waits reads first and looks at the counts then.
extern "C" void on_signal_of_set(int signal) {
  const int saved_errno = errno;
  ++handlers_running;
  caught& here = caught_signals[signal];
  const int event = here.event;
  if (event >= 0) {
    ++here.count;
    raise_event(event);
  }
  --handlers_running;
  errno = saved_errno;
}

// Why the faults: a handler that returns goes back to the instruction that failed, for ever.
bool can_be_waited_for(int signal) noexcept {
  switch (signal) {
    case SIGKILL:
    case SIGSTOP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSEGV:
    case SIGSYS:
    case SIGTRAP: return false;
    default: break;
  }
  const bool of_the_c_library = signal >= 32 && signal < SIGRTMIN;
  return signal > 0 && signal <= SIGRTMAX && !of_the_c_library;
}

int checked(int signal) {
  if (can_be_waited_for(signal)) return signal;
  throw std::invalid_argument("signal_set: nobody can wait for signal " + std::to_string(signal));
}

/// One signal whose handler is ours, until its end.
class caught_signal {
 public:
  caught_signal(int signal, int event) : claim_(checked(signal), "signal_set") {
    here().event = event;
    struct sigaction action{};
    action.sa_handler = on_signal_of_set;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, &before_);
  }
  caught_signal(const caught_signal&) = delete;
  caught_signal& operator=(const caught_signal&) = delete;
  ~caught_signal() {
    ::sigaction(claim_.signal(), &before_, nullptr);
    here().event = -1;
    // Why: one on another thread may have read the descriptor's number and not yet written to it.
    while (handlers_running > 0) std::this_thread::yield();
    if (here().count.exchange(0) > 0) ::raise(claim_.signal());
  }

  int signal() const noexcept { return claim_.signal(); }

  bool any() const noexcept { return here().count > 0; }
  void take_one() noexcept { --here().count; }

 private:
  caught& here() const noexcept { return caught_signals[claim_.signal()]; }

  signal_claim claim_;
  struct sigaction before_{};
};

class [[nodiscard]] signal_wait final : public single_op {
 public:
  explicit signal_wait(int event) noexcept : single_op({io_code::poll, event, nullptr, 0, POLLIN}) {}
  wait_text describe() const noexcept override { return {"wait for a signal"}; }
  void await_resume() const { take_result(); }
};

}  // namespace

class signal_handlers {
 public:
  explicit signal_handlers(std::span<const int> signals) {
    if (signals.empty()) throw std::invalid_argument("signal_set: no signals");
    for (const int signal : signals) add(signal);
  }
  signal_handlers(const signal_handlers&) = delete;
  signal_handlers& operator=(const signal_handlers&) = delete;
  ~signal_handlers() { RINGLET_CHECK(waiting_ == 0, "a signal_set was destroyed with {} tasks waiting", waiting_); }

  task<int> next() {
    co_await checkpoint();
    for (;;) {
      const std::optional<int> signal = take();
      if (signal) co_return *signal;
      const counted_wait counted(waiting_);
      co_await signal_wait(event_.get());
    }
  }

 private:
  class counted_wait {
   public:
    explicit counted_wait(std::size_t& count) noexcept : count_(count) { ++count_; }
    counted_wait(const counted_wait&) = delete;
    counted_wait& operator=(const counted_wait&) = delete;
    ~counted_wait() { --count_; }

   private:
    std::size_t& count_;
  };

  void add(int signal) {
    for (const caught_signal& other : signals_) {
      if (other.signal() == signal)
        throw std::invalid_argument("signal_set: " + signal_text(signal) + " is given twice");
    }
    signals_.emplace_back(signal, event_.get());
  }

  // Why it may notify: another task may wait, and has not seen the event before it was read here.
  std::optional<int> take() noexcept {
    lower_event(event_.get());
    const auto some = std::ranges::find_if(signals_, &caught_signal::any);
    if (some == signals_.end()) return std::nullopt;
    some->take_one();
    signals_.splice(signals_.end(), signals_, some);  // the last in line next time
    if (std::ranges::any_of(signals_, &caught_signal::any)) raise_event(event_.get());
    return signals_.back().signal();
  }

  unique_fd event_ = make_event_fd();
  std::list<caught_signal> signals_;
  std::size_t waiting_ = 0;
};

}  // namespace detail

signal_set::signal_set(std::span<const int> signals) : handlers_(new detail::signal_handlers(signals)) {}

signal_set::~signal_set() {
  delete handlers_;
}

task<int> signal_set::next() {
  return handlers_->next();
}

}  // namespace ringlet
