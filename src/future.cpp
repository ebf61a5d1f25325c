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

void future_state::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stage_.store(stage::over, std::memory_order_release);
  }
  stage_.notify_all();
  while (future_listener* who = next_to_tell()) {
    const ref<mailbox> home(who->home_);
    who->home_->drop_reference();
    if (!home->push(*who)) who->loop_ended();
  }
}

// Why one at a time: what a listener destroys may be this future's last reference but one, or ask for it.
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

void future_state::wait() {
  if (over() || run_here()) return;
  if (current_scheduler != nullptr)
    throw std::logic_error("future: get() would block this thread's loop; co_await it instead");
  for (stage now = stage_.load(); now != stage::over; now = stage_.load()) stage_.wait(now);
}

bool future_state::listen(future_listener& who) noexcept {
  if (over() || run_here()) return false;
  const std::lock_guard lock(mutex_);
  if (over()) return false;
  who.home_ = &this_loop().post_box();
  who.home_->add_reference();
  this_loop().offload_began();
  listeners_.push_back(who);
  return true;
}

void future_state::listen_or_tell(future_listener& who) noexcept {
  if (listen(who)) return;
  this_loop().offload_began();
  this_loop().post_box().push(who);
}

bool future_state::stop_listening(future_listener& who) noexcept {
  const std::lock_guard lock(mutex_);
  if (!who.linked()) return false;
  who.unlink();
  who.home_->drop_reference();
  this_loop().offload_ended();
  return true;
}

}  // namespace ringlet::detail
