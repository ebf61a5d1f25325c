// L5 services: the stages of a function that was given to a pool; knows pools and the loops' mailboxes.
// SPDX-License-Identifier: MIT
#include <ringlet/future.hpp>

#include <ringlet/detail/mailbox.hpp>

#include <stdexcept>

namespace ringlet::detail {

// Why the reference first: the function may have ended before submit_homeless_job() returns.
void future_state::begin() {
  add_reference();
  try {
    submit_homeless_job(pool_, *this);
  } catch (...) {
    drop_reference();
    throw;
  }
}

void future_state::execute() noexcept {
  stage_.store(stage::running, std::memory_order_relaxed);
  call();
  end();
}

/// A worker of the pool that waits in get(): the pool can tell when all do.
class future_state::blocked_worker : public list_links {
 public:
  explicit blocked_worker(std::size_t* counter) noexcept : waiting(counter) {}
  std::size_t* waiting;
};

// Why the workers under the lock: those that wait no more must not count when the next one begins to.
void future_state::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stage_.store(stage::over, std::memory_order_release);
    while (blocked_worker* who = blocked_.pop_front()) end_waiting(pool_, who->waiting);
  }
  stage_.notify_all();
  while (future_listener* who = next_to_tell()) {
    end_waiting(pool_, who->waiting_);
    const ref<mailbox> home(who->home_);
    who->home_->drop_reference();
    if (!home->push(*who)) who->loop_ended();
  }
}

// Why not all of them under the lock: what a listener does, or destroys, may call this future again.
future_listener* future_state::next_to_tell() noexcept {
  const std::lock_guard lock(mutex_);
  return listeners_.pop_front();
}

bool future_state::cancel() noexcept {
  if (over()) return false;
  if (!withdraw_job(pool_, *this)) {
    request_stop();
    return false;
  }
  set_cancelled();
  end();
  drop_reference();  // the pool's
  return true;
}

// Why: a worker that waits for its own pool may be the only one who could run what it waits for.
bool future_state::run_here() noexcept {
  if (!is_own_worker(pool_) || !withdraw_job(pool_, *this)) return false;
  execute();
  drop_reference();  // the pool's
  return true;
}

// False: there was nobody left to wait for, so it was run here.
bool future_state::wait_for_others(std::size_t*& waiting) {
  if (begin_waiting(pool_, waiting)) return true;
  if (run_here()) return false;
  throw std::logic_error("future: a function waits for its own pool, all other workers of which do so, too");
}

void future_state::wait() {
  if (over() || run_here()) return;
  if (current_scheduler != nullptr) {
    throw std::logic_error("future: get() would block this thread's loop; co_await it instead");
  }
  std::size_t* waiting = nullptr;
  if (!wait_for_others(waiting)) return;
  blocked_worker self(waiting);
  {
    const std::lock_guard lock(mutex_);
    if (over()) return end_waiting(pool_, waiting);
    blocked_.push_back(self);
  }
  for (stage now = stage_.load(); now != stage::over; now = stage_.load()) stage_.wait(now);
  const std::lock_guard lock(mutex_);  // Why: end() may still be at `self`
}

bool future_state::await(future_listener& who) {
  std::size_t* waiting = nullptr;
  if (over() || !wait_for_others(waiting)) return false;
  if (add(who, waiting)) return true;
  end_waiting(pool_, waiting);
  return false;
}

// Why it is told all the same when the loop closes: what was asked for in time is done, or undone.
void future_state::listen(future_listener& who) noexcept {
  if (add(who, nullptr)) return;
  this_loop().offload_began();
  if (this_loop().post_box().push(who)) return;
  this_loop().offload_ended();
  who.loop_ended();
}

bool future_state::add(future_listener& who, std::size_t* waiting) noexcept {
  const std::lock_guard lock(mutex_);
  if (over()) return false;
  who.home_ = &this_loop().post_box();
  who.home_->add_reference();
  who.waiting_ = waiting;
  this_loop().offload_began();
  listeners_.push_back(who);
  return true;
}

bool future_state::stop_listening(future_listener& who) noexcept {
  const std::lock_guard lock(mutex_);
  if (!who.linked()) return false;
  who.unlink();
  who.home_->drop_reference();
  end_waiting(pool_, who.waiting_);
  this_loop().offload_ended();
  return true;
}

}  // namespace ringlet::detail
