// L3 sync: who waits at an mt_channel, and on which threads; knows the wait queue and the loops' mailboxes.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/remote_work.hpp>
#include <ringlet/detail/wait_queue.hpp>

#include <atomic>
#include <mutex>

namespace ringlet::detail {

/// Somebody who waits until the channel takes the value: a task of any loop, or a thread.
class channel_sender : public list_links {
 public:
  void* value() const noexcept { return value_; }

  /// Ends the wait. Called once, with the channel locked; the sender may be gone before it returns.
  virtual void settle(bool accepted) noexcept = 0;

 protected:
  channel_sender() = default;
  ~channel_sender() = default;

 private:
  friend class channel_core;
  void* value_ = nullptr;  // null: does not wait
};

/// A task, which its loop's mailbox tells that the wait is over.
class task_sender : public wait, public channel_sender, private remote_work {
 public:
  void settle(bool accepted) noexcept override;
  wait_text describe() const noexcept override { return {"send to a channel"}; }
  bool accepted() const noexcept { return accepted_; }

 protected:
  task_sender() = default;
  task_sender(const task_sender& other) noexcept : wait(other), channel_sender(), remote_work(other) {}
  ~task_sender() = default;

  void begin_wait() noexcept;
  void end_wait() noexcept;
  void set_accepted(bool accepted) noexcept { accepted_ = accepted; }

 private:
  void run() noexcept override;

  mailbox* home_ = nullptr;  // of the task's loop; referenced while the task waits
  bool accepted_ = false;
};

/// A thread that runs no loop and waits for something to receive.
class channel_thread : public list_links {
 public:
  /// There is something, or the channel is closed. Called once, with the channel locked.
  virtual void tell() noexcept = 0;

 protected:
  channel_thread() = default;
  ~channel_thread() = default;
};

/// A task of the receiving loop.
class channel_receiver : public queued_wait {
 public:
  wait_text describe() const noexcept override { return {"receive from a channel"}; }

 protected:
  channel_receiver() = default;
  channel_receiver(const channel_receiver&) = default;
  ~channel_receiver() = default;
};

/// What a channel is but for its values. As work in the mailbox of the receiving loop it brings the news that there is
/// something to receive. Outlives the channel as long as that is under way.
class channel_core : private remote_work, private end_watch {
 public:
  void close() noexcept;
  bool closed() const noexcept;

  /// The channel itself is gone. Aborts when somebody waits.
  void abandon() noexcept;

 protected:
  channel_core() = default;
  virtual ~channel_core() = default;

  /// Gives the receiver the next value, or tells it of the end. False: it has to wait. Called with the channel locked.
  virtual bool serve(channel_receiver& receiver) noexcept = 0;

  // All below: call with the channel locked.

  /// The calling loop is the receiving one from now on. errors: std::logic_error when another one is, or threads wait.
  void attach();
  /// Sees to it that no task is robbed. errors: std::logic_error on the thread of a loop, and when one receives.
  void check_thread_may_receive() const;
  /// On a thread that runs no loop, which it blocks until there may be something. Unlocks meanwhile.
  void block_until_told();
  /// A value, or the end, can be had.
  void tell_receivers() noexcept;
  void wait_to_send(channel_sender& sender, void* value) noexcept {
    sender.value_ = value;
    senders_.push_back(sender);
    tell_receivers();  // Why: without any capacity the value is taken from the sender itself
  }
  /// As wait_to_send(), on a thread that runs no loop, which it blocks. Unlocks meanwhile. True: the value was taken.
  bool block_until_sent(void* value);
  /// True where a task would not overtake another one.
  bool nobody_receives() const noexcept { return receivers_waiting_ == 0; }

  template <class Promise>
  void park_receiver(std::coroutine_handle<Promise> here, channel_receiver& receiver) noexcept {
    ++receivers_waiting_;
    this_loop().expect_wake_up();
    receivers_.park(here, receiver);
  }
  void receiver_woken() noexcept {
    --receivers_waiting_;
    this_loop().wake_up_came();
  }

  mutable std::mutex mutex_;  // guards all below, but for what is the loop's
  bool closed_ = false;
  intrusive_list<channel_sender> senders_;  // Invariant: empty unless the channel is full

 private:
  void run() noexcept override;
  void loop_ended() noexcept override;
  void detach() noexcept;
  void close_locked() noexcept;
  void send_news() noexcept;
  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  intrusive_list<channel_thread> threads_;  // Invariant: empty while there is something, but for those that were told
  mailbox* home_ = nullptr;                 // of the receiving loop; null: there is none
  std::size_t receivers_waiting_ = 0;
  bool news_under_way_ = false;  // in home_; Invariant: true when receivers wait although there is something for them
  bool abandoned_ = false;
  wait_queue<channel_receiver> receivers_;  // the receiving loop's
  std::atomic<int> references_{1};
};

}  // namespace ringlet::detail
