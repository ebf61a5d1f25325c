// L3 sync: how an mt_channel wakes tasks of other loops, and how it ends; knows the loops' mailboxes.
// SPDX-License-Identifier: MIT
#include <ringlet/mt_channel.hpp>

#include <ringlet/detail/mailbox.hpp>

#include <condition_variable>
#include <stdexcept>

namespace ringlet::detail {
namespace {

/// The wait of a thread that runs no loop, for somebody who has the channel locked.
class thread_wait {
 public:
  void end() noexcept {
    over_ = true;
    over_now_.notify_one();
  }
  /// Unlocks the channel meanwhile.
  void await(std::mutex& channel) {
    std::unique_lock lock(channel, std::adopt_lock);
    over_now_.wait(lock, [this] { return over_; });
    lock.release();  // the caller's
  }

 private:
  std::condition_variable over_now_;
  bool over_ = false;
};

class thread_sender final : public channel_sender, public thread_wait {
 public:
  void settle(bool accepted) noexcept override {
    accepted_ = accepted;
    end();
  }
  bool accepted() const noexcept { return accepted_; }

 private:
  bool accepted_ = false;
};

class thread_receiver final : public channel_thread, public thread_wait {
 public:
  void tell() noexcept override { end(); }
};

}  // namespace

// --- Who waits to send

bool channel_core::block_until_sent(void* value) {
  thread_sender self;
  wait_to_send(self, value);
  self.await(mutex_);
  return self.accepted();
}

void task_sender::begin_wait() noexcept {
  home_ = &this_loop().post_box();
  home_->add_reference();
  this_loop().expect_wake_up();
}

// Why the reference: once pushed, the task may go on, end, and take its loop with it.
void task_sender::settle(bool accepted) noexcept {
  accepted_ = accepted;
  mailbox& home = *home_;
  home.push(*this);
  home.drop_reference();
}

void task_sender::run() noexcept {
  this_loop().wake_up_came();
  this_loop().wake(*waiter());
}

// On cancellation: nobody has settled it.
void task_sender::end_wait() noexcept {
  home_->drop_reference();
  run();
}

// --- Threads that receive

void channel_core::check_thread_may_receive() const {
  if (current_scheduler != nullptr) throw std::logic_error("mt_channel: blocking_receive() would block a loop");
  if (home_ != nullptr) throw std::logic_error("mt_channel: a loop receives from it, so threads cannot");
}

void channel_core::block_until_told() {
  thread_receiver self;
  threads_.push_back(self);
  self.await(mutex_);
}

// --- The receiving loop

void channel_core::attach() {
  mailbox& here = this_loop().post_box();
  if (home_ == &here) return;
  if (home_ != nullptr) throw std::logic_error("mt_channel: tasks of two loops receive from one channel");
  if (!threads_.empty()) throw std::logic_error("mt_channel: threads receive from it, so tasks cannot");
  home_ = &here;
  home_->add_reference();
  this_loop().watch_end(*this);
  add_reference();
}

void channel_core::detach() noexcept {
  if (linked()) unlink();
  std::exchange(home_, nullptr)->drop_reference();
}

void channel_core::tell_receivers() noexcept {
  if (receivers_waiting_ > 0) send_news();
  if (channel_thread* longest = threads_.pop_front()) longest->tell();
}

// One wake-up is enough for all that comes until it arrives. A loop that has ended refuses it: loop_ended() is next.
void channel_core::send_news() noexcept {
  if (news_under_way_) return;
  add_reference();
  news_under_way_ = home_->push(*this);
  if (!news_under_way_) drop_reference();
}

// The news has arrived.
void channel_core::run() noexcept {
  {
    const std::lock_guard lock(mutex_);
    news_under_way_ = false;
    while (channel_receiver* first = receivers_.front()) {
      if (!serve(*first)) break;
      receivers_.wake_one();
      receiver_woken();
    }
    if (abandoned_) {
      detach();
      drop_reference();
    }
  }
  drop_reference();
}

// --- The end

void channel_core::close() noexcept {
  const std::lock_guard lock(mutex_);
  close_locked();
}

void channel_core::close_locked() noexcept {
  closed_ = true;
  while (channel_sender* sender = senders_.pop_front()) sender->settle(false);
  tell_receivers();
  while (channel_thread* each = threads_.pop_front()) each->tell();
}

bool channel_core::closed() const noexcept {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void channel_core::loop_ended() noexcept {
  {
    const std::lock_guard lock(mutex_);
    close_locked();
    detach();
  }
  drop_reference();
}

// Why the detour: only the receiving loop may touch its list of those who want to know its end.
void channel_core::abandon() noexcept {
  {
    const std::lock_guard lock(mutex_);
    RINGLET_CHECK(receivers_waiting_ == 0, "a channel was destroyed with {} tasks waiting to receive",
                  receivers_waiting_);
    RINGLET_CHECK(senders_.empty(), "a channel was destroyed with somebody waiting to send");
    RINGLET_CHECK(threads_.empty(), "a channel was destroyed with a thread waiting to receive");
    closed_ = true;
    abandoned_ = true;
    if (home_ != nullptr) send_news();
  }
  drop_reference();
}

}  // namespace ringlet::detail
