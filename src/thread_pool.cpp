// L5 services: the queue and the workers of a thread pool; knows threads and the loops' mailboxes.
// SPDX-License-Identifier: MIT
#include <ringlet/thread_pool.hpp>

#include <ringlet/detail/mailbox.hpp>
#include <ringlet/error.hpp>
#include <ringlet/offload.hpp>

#include "signals_blocked.hpp"
#include "threads.hpp"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace ringlet {
namespace detail {

class thread_pool_queue {
 public:
  thread_pool_queue(std::size_t workers, std::size_t limit);
  ~thread_pool_queue() { shutdown(); }

  void submit(pool_job& job);
  bool withdraw(pool_job& job) noexcept;
  void shutdown() noexcept;

  std::size_t workers() const noexcept { return workers_.size(); }
  std::size_t queued() const noexcept;

 private:
  // A loop's mailbox, which is there as long as it has jobs here: one reference for all, for each costs too much.
  struct kept_home {
    mailbox* box;
    std::size_t jobs;
  };

  void work(std::size_t& asked) noexcept;
  void count_asker(pool_job& job);
  void forget(std::size_t* asker) noexcept;
  void keep(mailbox& home) noexcept;
  void let_go(mailbox& home) noexcept;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable work_came_;
  intrusive_list<pool_job> jobs_;  // have not begun: the oldest have a place in the queue, the others wait for one
  std::size_t not_begun_ = 0;
  std::size_t limit_;
  std::size_t idle_ = 0;  // workers that sleep
  bool closed_ = false;
  std::vector<kept_home> homes_;     // the loops that the jobs belong to
  std::vector<std::size_t> asked_;   // by worker: functions of this pool that the worker's own function waits for
  std::size_t waiting_workers_ = 0;  // those for which that is not zero

  std::vector<std::thread> workers_;
};

namespace {

constinit thread_local thread_pool_queue* own_pool = nullptr;   // null: this thread is no worker
constinit thread_local std::size_t* asked_by_worker = nullptr;  // of its own pool; null: this thread is no worker

}  // namespace

thread_pool_queue::thread_pool_queue(std::size_t workers, std::size_t limit) : limit_(limit), asked_(workers) {
  const signals_blocked guard;  // Why: workers take none, those are for the loops
  try {
    for (std::size_t& asked : asked_) workers_.emplace_back([this, &asked] { work(asked); });
  } catch (const std::system_error& e) {
    shutdown();
    throw os_error("create a thread", "", e.code().value());
  }
}

void thread_pool_queue::submit(pool_job& job) {
  bool somebody_sleeps = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) throw std::logic_error("thread_pool: a function was submitted after shutdown()");
    homes_.reserve(homes_.size() + 1);  // Why first: nothing may fail once the job is counted
    count_asker(job);
    job.home_ = &this_loop().post_box();
    keep(*job.home_);
    jobs_.push_back(job);
    ++not_begun_;
    somebody_sleeps = idle_ > 0;
  }
  if (somebody_sleeps) work_came_.notify_one();  // Why here: who wakes up needs the mutex
}

// Why: a function that runs a loop of its own may wait for its own pool. When all workers do, they do for ever.
void thread_pool_queue::count_asker(pool_job& job) {
  job.asked_ = own_pool == this ? asked_by_worker : nullptr;
  if (job.asked_ == nullptr) return;
  if (*job.asked_ == 0) {
    if (waiting_workers_ + 1 == asked_.size()) {
      throw std::logic_error("thread_pool: a function waits for its own pool, all other workers of which do so, too");
    }
    ++waiting_workers_;
  }
  ++*job.asked_;
}

void thread_pool_queue::forget(std::size_t* asker) noexcept {
  if (asker != nullptr && --*asker == 0) --waiting_workers_;
}

void thread_pool_queue::keep(mailbox& home) noexcept {
  for (kept_home& kept : homes_) {
    if (kept.box != &home) continue;
    ++kept.jobs;
    return;
  }
  homes_.push_back({&home, 1});
  home.add_reference();
}

void thread_pool_queue::let_go(mailbox& home) noexcept {
  const auto kept = std::find_if(homes_.begin(), homes_.end(), [&](const kept_home& k) { return k.box == &home; });
  if (--kept->jobs > 0) return;
  homes_.erase(kept);
  home.drop_reference();
}

bool thread_pool_queue::withdraw(pool_job& job) noexcept {
  const std::lock_guard lock(mutex_);
  if (!job.linked()) return false;
  job.unlink();
  --not_begun_;
  forget(job.asked_);
  let_go(*job.home_);
  return true;
}

void thread_pool_queue::work(std::size_t& asked) noexcept {
  own_pool = this;
  asked_by_worker = &asked;
  const counted_thread of_a_pool;
  std::unique_lock lock(mutex_);
  for (;;) {
    while (jobs_.empty() && !closed_) {
      ++idle_;
      work_came_.wait(lock);
      --idle_;
    }
    pool_job* job = jobs_.pop_front();
    if (job == nullptr) break;
    --not_begun_;
    lock.unlock();
    mailbox& home = *job->home_;
    std::size_t* const asker = job->asked_;
    job->execute();
    if (!home.push(*job)) job->nobody_waits();  // the job, and its loop, may be gone from here on
    lock.lock();
    forget(asker);
    let_go(home);
  }
}

void thread_pool_queue::shutdown() noexcept {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    work_came_.notify_all();
  }
  for (std::thread& worker : workers_) {
    if (worker.joinable()) worker.join();
  }
}

std::size_t thread_pool_queue::queued() const noexcept {
  const std::lock_guard lock(mutex_);
  return std::min(not_begun_, limit_);
}

void submit_job(thread_pool_queue& queue, pool_job& job) {
  queue.submit(job);
}
bool withdraw_job(thread_pool_queue& queue, pool_job& job) noexcept {
  return queue.withdraw(job);
}

}  // namespace detail

namespace {

std::size_t processors() noexcept {
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

thread_pool::thread_pool(std::size_t workers, std::size_t queue_limit) {
  if (workers == 0) workers = processors();
  queue_ = new detail::thread_pool_queue(workers, queue_limit == 0 ? 4 * workers : queue_limit);
}

thread_pool::~thread_pool() {
  delete queue_;
}
void thread_pool::submit_job(detail::pool_job& job) {
  queue_->submit(job);
}
void thread_pool::shutdown() noexcept {
  queue_->shutdown();
}
std::size_t thread_pool::workers() const noexcept {
  return queue_->workers();
}
std::size_t thread_pool::queued() const noexcept {
  return queue_->queued();
}

// --- The default pool

namespace {

std::mutex default_pool_mutex;
std::weak_ptr<thread_pool> shared_default_pool;                  // expired: no loop uses it; guarded by the mutex
thread_local std::shared_ptr<thread_pool> default_pool_of_loop;  // null: this thread's loop has not used it

}  // namespace

thread_pool& default_pool() {
  if (default_pool_of_loop == nullptr) {
    const std::lock_guard lock(default_pool_mutex);
    default_pool_of_loop = shared_default_pool.lock();
    if (default_pool_of_loop == nullptr) {
      default_pool_of_loop = std::make_shared<thread_pool>();
      shared_default_pool = default_pool_of_loop;
    }
  }
  return *default_pool_of_loop;
}

void detail::release_default_pool() noexcept {
  default_pool_of_loop.reset();
}

}  // namespace ringlet
