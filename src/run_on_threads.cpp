// L6 surface: starts the loops of run_on_threads(), ends them together and passes signals on; knows threads.
// SPDX-License-Identifier: MIT
#include <ringlet/run_on_threads.hpp>

#include <ringlet/detail/mailbox.hpp>

#include "interrupts.hpp"
#include "threads.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace ringlet {
namespace detail {
namespace {

constinit thread_local std::size_t index_of_thread = 0;

}  // namespace

/// The loops of one run_on_threads().
class loop_group {
 public:
  static void check_request(const options& how, int threads);

  loop_group(const options& how, std::span<loop_body* const> bodies);
  void run();

 private:
  /// One of the loops, seen from outside. As work in its mailbox it asks the loop to end.
  class member final : public remote_work {
   public:
    explicit member(loop_body& b) noexcept : body(b) {}
    member(const member&) = default;
    ~member() {
      if (box != nullptr) box->drop_reference();
    }
    void run() noexcept override { this_loop().root()->base_scope().cancel(); }

    loop_body& body;
    mailbox* box = nullptr;  // null: the loop is not set up
    bool told_to_end = false;
  };

  enum class phase : unsigned char {
    setting_up,  // somebody's ring is still to come
    running,     // all bodies may run
    given_up,    // somebody's ring will not come: no body ran, and none will
  };

  void start_threads();
  bool start_thread(std::size_t index);
  void serve(std::size_t index) noexcept;
  bool all_set_up(member& self);
  void leave() noexcept;
  void fail(std::exception_ptr error) noexcept;
  void end_all() noexcept;
  void pass_signals_on();

  options how_;  // of each loop
  bool signals_may_come_;
  std::optional<interrupt_handler> signals_;  // null: not asked for, or not yet

  std::mutex mutex_;  // guards all below
  std::condition_variable phase_changed_;
  phase phase_ = phase::setting_up;
  std::vector<member> members_;
  std::size_t set_up_ = 0;
  std::size_t running_ = 0;         // threads
  std::exception_ptr first_error_;  // null: none so far

  std::vector<std::thread> threads_;
};

loop_group::loop_group(const options& how, std::span<loop_body* const> bodies)
    : how_(how), signals_may_come_(std::exchange(how_.handle_signals_, false)) {
  members_.reserve(bodies.size());
  for (loop_body* body : bodies) members_.emplace_back(*body);
  threads_.reserve(bodies.size());
}

void loop_group::check_request(const options& how, int threads) {
  if (current_scheduler != nullptr) throw std::logic_error("run_on_threads() was called inside run()");
  if (threads < 1) {
    throw std::invalid_argument("run_on_threads: " + std::to_string(threads) + " threads, where at least 1 is needed");
  }
  if (how.clock_ != nullptr || how.driver_ != nullptr) {
    throw std::invalid_argument("run_on_threads: a clock or a driver among the options is for one loop only");
  }
}

void loop_group::run() {
  const counted_thread waits_only;
  if (signals_may_come_) signals_.emplace();
  start_threads();
  if (signals_) pass_signals_on();
  for (std::thread& thread : threads_) thread.join();
  if (first_error_) std::rethrow_exception(std::exchange(first_error_, nullptr));
}

void loop_group::start_threads() {
  running_ = members_.size();
  std::size_t started = 0;
  while (started < members_.size() && start_thread(started)) ++started;
  for (; started < members_.size(); ++started) leave();
}

bool loop_group::start_thread(std::size_t index) {
  try {
    threads_.emplace_back([this, index] { serve(index); });
    return true;
  } catch (const std::system_error& e) {
    const std::string which = std::to_string(index + 1) + " of " + std::to_string(members_.size());
    fail(std::make_exception_ptr(os_error("create a thread", which, e.code().value())));
  } catch (...) {
    fail(std::current_exception());
  }
  return false;
}

// One thread from its beginning to its end.
void loop_group::serve(std::size_t index) noexcept {
  index_of_thread = index;
  member& self = members_[index];
  try {
    loop here(how_);
    if (signals_may_come_) this_loop().expect_wake_up();
    if (all_set_up(self)) self.body.run_in(here);
  } catch (...) {
    fail(std::current_exception());
  }
  leave();
}

// Waits for the others. False: one of them has failed.
bool loop_group::all_set_up(member& self) {
  std::unique_lock lock(mutex_);
  self.box = &this_loop().post_box();
  self.box->add_reference();
  const bool last = ++set_up_ == members_.size();
  if (last && phase_ == phase::setting_up) {
    phase_ = phase::running;
    phase_changed_.notify_all();
  }
  phase_changed_.wait(lock, [this] { return phase_ != phase::setting_up; });
  return phase_ == phase::running;
}

void loop_group::leave() noexcept {
  const std::lock_guard lock(mutex_);
  if (--running_ == 0 && signals_) signals_->notify();
}

void loop_group::fail(std::exception_ptr error) noexcept {
  const std::lock_guard lock(mutex_);
  if (!first_error_) first_error_ = std::move(error);
  end_all();
}

// A loop that has ended by itself refuses the request.
void loop_group::end_all() noexcept {
  if (phase_ == phase::running) {
    for (member& each : members_) {
      if (!std::exchange(each.told_to_end, true)) each.box->push(each);
    }
  } else {
    phase_ = phase::given_up;
    phase_changed_.notify_all();
  }
}

// The calling thread does nothing else. Ends with the last loop.
void loop_group::pass_signals_on() {
  for (;;) {
    signals_->wait();
    const std::lock_guard lock(mutex_);
    if (running_ == 0) return;
    end_all();
  }
}

void check_request(const options& how, int threads) {
  loop_group::check_request(how, threads);
}

void run_each(const options& how, std::span<loop_body* const> bodies) {
  loop_group(how, bodies).run();
}

}  // namespace detail

std::size_t thread_index() noexcept {
  return detail::index_of_thread;
}

}  // namespace ringlet
