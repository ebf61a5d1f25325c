// Test kit: the kernel's ring, with faults that must make no difference.
#pragma once

#include "random.hpp"

#include <ringlet/detail/io_op.hpp>

#include "uring/uring_driver.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace kit {

/// Carries everything out on a ring, but not as smoothly: transfers are cut short, operations are interrupted or told
/// to try again, multishot operations end early, and completions come late and in another order. What it does is drawn
/// from a seed; the kernel's own timing is not. Each operation goes to the ring by a proxy.
class faulty_driver final : public ringlet::detail::io_driver {
  using io_code = ringlet::detail::io_code;
  using io_op = ringlet::detail::io_op;
  using io_request = ringlet::detail::io_request;

 public:
  explicit faulty_driver(std::uint64_t seed) : draw_(seed), ring_(std::nullopt, nullptr) {}
  faulty_driver(const faulty_driver&) = delete;
  faulty_driver& operator=(const faulty_driver&) = delete;
  // What goes on in the background has to end while there is a driver.
  ~faulty_driver() {
    {
      const as_current current(*this);
      for (const auto& p : proxies_) cancel(p->original());
      while (!proxies_.empty()) wait(ringlet::never);
    }
    ringlet::detail::current_driver = &ring_;
  }

  /// What was disturbed so far.
  struct counters_of_faults {
    unsigned shortened = 0;
    unsigned refused = 0;
    unsigned ended_early = 0;
    unsigned late = 0;
  };
  const counters_of_faults& faults() const noexcept { return faults_; }

  void submit(io_op& op) noexcept override {
    op.set_with_kernel(true);
    proxies_.push_back(std::make_unique<proxy>(*this, op, shortened(op.request())));
    proxy& p = *proxies_.back();
    if (const std::optional<int> refusal = refusal_of(op.request())) return p.refuse(*refusal);
    p.await_turn();
    const as_current current(ring_);
    ring_.submit(p);
  }

  void cancel(io_op& op) noexcept override {
    const auto at =
        std::find_if(proxies_.begin(), proxies_.end(), [&](const auto& p) { return &p->original() == &op; });
    if (at != proxies_.end()) cancel_in_ring(**at);
  }

  void end_input(int fd) noexcept override { ring_.end_input(fd); }
  void close(int fd) noexcept override { ring_.close(fd); }
  bool multishot() noexcept override { return ring_.multishot(); }

  // Why never EAGAIN for what comes from a socket: it is asked only once the socket was found readable.
  int try_now(const io_request& what) noexcept override {
    const bool may_refuse = what.code != io_code::receive && draw_.one_in(4);
    if (may_refuse) ++faults_.refused;
    return may_refuse ? -EAGAIN : ring_.try_now(shortened(what));
  }

  void wait(ringlet::time_point deadline) noexcept override {
    const bool holds_some =
        std::any_of(proxies_.begin(), proxies_.end(), [](const auto& p) { return p->holds_some(); });
    {
      const as_current current(ring_);
      ring_.wait(holds_some ? ringlet::long_ago : deadline);
    }
    deliver();
  }
  void wake() noexcept override { ring_.wake(); }
  std::size_t in_flight() const noexcept override { return proxies_.size() - std::min(proxies_.size(), unattended()); }
  bool expects_completion() const noexcept override { return proxies_.size() > in_background() || attends_any(); }
  const ringlet::detail::reactor_counters& counters() const noexcept override { return ring_.counters(); }

 private:
  /// Whose driver what happens now finds.
  class as_current {
   public:
    explicit as_current(io_driver& d) noexcept : outer_(std::exchange(ringlet::detail::current_driver, &d)) {}
    as_current(const as_current&) = delete;
    as_current& operator=(const as_current&) = delete;
    ~as_current() { ringlet::detail::current_driver = outer_; }

   private:
    io_driver* outer_;
  };

  struct completion {
    int result;
    ringlet::detail::buffer* filled;
    bool more;
  };

  /// Goes to the ring in place of the operation, and keeps its completions until they are due.
  class proxy final : public ringlet::detail::io_op {
   public:
    proxy(faulty_driver& driver, io_op& original, const io_request& altered) noexcept
        : io_op(altered), driver_(driver), original_(original) {}

    io_op& original() const noexcept { return original_; }
    bool holds_some() const noexcept { return !held_.empty() && !ends_early_; }
    bool is_due() noexcept { return holds_some() && turns_to_wait_-- == 0; }

    void refuse(int result) noexcept {
      turns_to_wait_ = driver_.draw_turns();
      held_.push_back({result, nullptr, false});
    }

    void complete(int result, ringlet::detail::buffer* filled, bool more) noexcept override {
      if (!more) end_with(result);
      const bool nothing_held = held_.empty();
      if (nothing_held) turns_to_wait_ = driver_.draw_turns();
      if (ends_early_ && result == -ECANCELED) {
        held_.back().more = false;
      } else {
        held_.push_back({result, filled, more});
      }
      if (!more) {
        ends_early_ = false;
      } else if (nothing_held && driver_.draw_.one_in(4)) {
        ends_early_ = true;  // what comes before the request has ended is held, and its last one says so
        ++driver_.faults_.ended_early;
        driver_.cancel_in_ring(*this);
      }
    }

    /// Gives on what is held; false when more is to come.
    bool pass_on() noexcept {
      while (!held_.empty()) {
        const completion next = held_.front();
        held_.pop_front();
        original_.set_with_kernel(next.more);
        if (!next.more) {
          last_ = next;
          return true;
        }
        original_.complete(next.result, next.filled, true);
      }
      return false;
    }
    const completion& last() const noexcept { return last_; }

   private:
    faulty_driver& driver_;
    io_op& original_;
    std::deque<completion> held_;
    completion last_{};
    std::uint64_t turns_to_wait_ = 0;
    bool ends_early_ = false;
  };

  static bool is_transfer(io_code c) noexcept {
    return c == io_code::read || c == io_code::write || c == io_code::receive || c == io_code::send;
  }

  /// For how many turns a completion is held.
  std::uint64_t draw_turns() noexcept {
    if (!draw_.one_in(3)) return 0;
    ++faults_.late;
    return 1 + draw_.below(3);
  }

  io_request shortened(io_request what) noexcept {
    if (!is_transfer(what.code) || what.length == 0 || draw_.one_in(3)) return what;
    const std::uint64_t most = 1 + draw_.below(std::uint64_t{1} << draw_.below(17));
    if (most < what.length) ++faults_.shortened;
    what.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(what.length, most));
    return what;
  }

  /// As a fault_plan's interruptions.
  std::optional<int> refusal_of(const io_request& what) noexcept {
    const bool may_refuse =
        what.code != io_code::poll && what.code != io_code::poll_many && what.code != io_code::connect;
    if (!may_refuse || !draw_.one_in(8)) return std::nullopt;
    ++faults_.refused;
    const bool waits_for_readiness = is_transfer(what.code) || what.code == io_code::accept ||
                                     what.code == io_code::accept_many || what.code == io_code::receive_many;
    return waits_for_readiness && draw_.one_in(2) ? -EAGAIN : -EINTR;
  }

  void cancel_in_ring(proxy& p) noexcept {
    const as_current current(ring_);
    p.cancel();
  }

  // Why taken out first: an operation that completes may ask for the next one, or for the end of another.
  void deliver() noexcept {
    std::vector<proxy*> due;
    for (const auto& p : proxies_) {
      if (p->is_due()) due.push_back(p.get());
    }
    for (std::size_t left = due.size(); left > 1; --left) std::swap(due[left - 1], due[draw_.below(left)]);
    for (proxy* p : due) {
      if (p->pass_on()) retire(*p);
    }
  }

  void retire(proxy& p) noexcept {
    const auto at = std::find_if(proxies_.begin(), proxies_.end(), [&](const auto& each) { return each.get() == &p; });
    const std::unique_ptr<proxy> last = std::move(*at);
    proxies_.erase(at);
    last->original().complete(last->last().result, last->last().filled, false);
  }

  random draw_;
  ringlet::detail::uring_driver ring_;
  std::vector<std::unique_ptr<proxy>> proxies_;  // of operations whose last completion was not passed on
  counters_of_faults faults_;
};

}  // namespace kit
