// L5 services: the queue and the workers of a thread pool; knows threads and the loops' mailboxes.
// SPDX-License-Identifier: MIT
#include <ringlet/thread_pool.hpp>

#include <ringlet/detail/mailbox.hpp>
#include <ringlet/detail/ref.hpp>
#include <ringlet/detail/work_stack.hpp>
#include <ringlet/error.hpp>
#include <ringlet/offload.hpp>

#include "signals_blocked.hpp"
#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace ringlet {
namespace detail {
namespace {

using clock = std::chrono::steady_clock;

constexpr auto soon = std::chrono::microseconds(50);  // about as long as it takes to wake a thread, at worst
constexpr unsigned longest_pause = 1024;

/// Whether a worker without a job looks out for the next one before it sleeps: only while they come soon after another.
class pace_of_jobs {
 public:
  bool brisk() const noexcept { return brisk_; }

  /// Why ever longer pauses: where loop and worker share a processor, a job comes as soon as the worker sleeps, and
  /// never while it looks out.
  void looked_out(bool job_came) noexcept {
    brisk_ = job_came;
    pause_ = job_came ? 0 : next_pause_;
    next_pause_ = job_came ? 1 : std::min(2 * next_pause_, longest_pause);
  }
  void slept(bool shortly) noexcept {
    if (shortly && pause_ > 0) --pause_;
    brisk_ = shortly && pause_ == 0;
  }

 private:
  bool brisk_ = false;
  unsigned pause_ = 0;       // so many short sleeps to come before the next look-out
  unsigned next_pause_ = 1;  // and so many after one in vain
};

}  // namespace

class thread_pool_queue {
 public:
  thread_pool_queue(std::size_t workers, std::size_t limit);
  ~thread_pool_queue() { shutdown(); }

  void submit(pool_job& job);
  void submit_homeless(pool_job& job);
  bool withdraw(pool_job& job) noexcept;
  bool begin_waiting(std::size_t*& waiting) noexcept;
  void end_waiting(std::size_t* waiting) noexcept;
  void shutdown() noexcept;

  std::size_t workers() const noexcept { return workers_.size(); }
  std::size_t queued() noexcept;

 private:
  using held_lock = std::unique_lock<std::mutex>;

  void work(std::size_t& asked) noexcept;
  pool_job* next_job(held_lock& lock) noexcept;
  bool find_jobs() noexcept;
  void take_in(remote_work* oldest) noexcept;
  void await_jobs(held_lock& lock) noexcept;
  void look_out(held_lock& lock) noexcept;
  void sleep(held_lock& lock) noexcept;
  void note_who_waits() noexcept;
  bool must_call() noexcept;
  void call_worker() noexcept;
  void enqueue(pool_job& job);
  void count_asker(pool_job& job);
  void forget(std::size_t* asker) noexcept;
  [[noreturn]] void refuse(pool_job& job);

  work_stack submitted_;                // what no worker has seen yet
  std::atomic<bool> must_call_{false};  // workers sleep, and none is on its way: who submits a job has to call one

  std::mutex mutex_;  // guards all below
  std::condition_variable work_came_;
  intrusive_list<pool_job> jobs_;  // have not begun
  std::size_t not_begun_ = 0;      // those in the list
  std::size_t limit_;
  std::size_t asleep_ = 0;    // workers
  bool looking_out_ = false;  // one does
  pace_of_jobs pace_;
  bool closed_ = false;
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
  count_asker(job);
  job.home_ = &this_loop().post_box();
  enqueue(job);
}

void thread_pool_queue::submit_homeless(pool_job& job) {
  job.asked_ = nullptr;
  job.home_ = nullptr;
  enqueue(job);
}

// Why without the lock: the loop would have to wait for workers, and each wait costs more than a small function.
void thread_pool_queue::enqueue(pool_job& job) {
  if (!submitted_.push(job)) refuse(job);
  if (must_call()) call_worker();
}

void thread_pool_queue::refuse(pool_job& job) {
  const std::lock_guard lock(mutex_);
  forget(job.asked_);
  throw std::logic_error("thread_pool: a function was submitted after shutdown()");
}

// Invariant: a worker sets must_call_ and then looks at submitted_; who submits pushes and then looks at must_call_.
// One of them sees the other.
bool thread_pool_queue::must_call() noexcept {
  return must_call_ && must_call_.exchange(false);
}

// Why the lock: a worker that has found nothing, but does not sleep yet, would miss the call.
void thread_pool_queue::call_worker() noexcept {
  {
    const std::lock_guard lock(mutex_);
  }
  work_came_.notify_one();
}

void thread_pool_queue::count_asker(pool_job& job) {
  if (begin_waiting(job.asked_)) return;
  throw std::logic_error("thread_pool: a function waits for its own pool, all other workers of which do so, too");
}

// Why: a function may wait for its own pool, in get() or in a loop of its own. When all workers do, they do for ever.
bool thread_pool_queue::begin_waiting(std::size_t*& waiting) noexcept {
  waiting = own_pool == this ? asked_by_worker : nullptr;
  if (waiting == nullptr) return true;
  const std::lock_guard lock(mutex_);
  if (*waiting == 0) {
    if (waiting_workers_ + 1 == asked_.size()) return false;
    ++waiting_workers_;
  }
  ++*waiting;
  return true;
}

void thread_pool_queue::end_waiting(std::size_t* waiting) noexcept {
  if (waiting == nullptr) return;
  const std::lock_guard lock(mutex_);
  forget(waiting);
}

void thread_pool_queue::forget(std::size_t* asker) noexcept {
  if (asker != nullptr && --*asker == 0) --waiting_workers_;
}

bool thread_pool_queue::withdraw(pool_job& job) noexcept {
  const std::lock_guard lock(mutex_);
  take_in(submitted_.take_all());
  if (!job.linked()) return false;
  job.unlink();
  --not_begun_;
  forget(job.asked_);
  return true;
}

void thread_pool_queue::take_in(remote_work* oldest) noexcept {
  while (oldest != nullptr) {
    auto& job = static_cast<pool_job&>(*oldest);
    oldest = oldest->next();
    jobs_.push_back(job);
    ++not_begun_;
  }
}

bool thread_pool_queue::find_jobs() noexcept {
  if (jobs_.empty()) take_in(submitted_.take_all());
  return !jobs_.empty();
}

// Null: the pool is closed. Why each calls the next, if there is more to do: who submits is held up once, not for every
// worker.
pool_job* thread_pool_queue::next_job(held_lock& lock) noexcept {
  while (!find_jobs() && !closed_) await_jobs(lock);
  pool_job* const job = jobs_.pop_front();
  if (job == nullptr) return nullptr;
  --not_begun_;
  if (find_jobs() && must_call()) work_came_.notify_one();
  return job;
}

void thread_pool_queue::await_jobs(held_lock& lock) noexcept {
  pace_.brisk() && !looking_out_ ? look_out(lock) : sleep(lock);
  note_who_waits();
}

void thread_pool_queue::note_who_waits() noexcept {
  must_call_ = asleep_ > 0 && !looking_out_;
}

// Why: to wake a thread takes longer than most functions. Why only one at a time: more would take processors from the
// loops. Why it does not yield: a burst of functions then took twice as long where loop and worker share a processor.
void thread_pool_queue::look_out(held_lock& lock) noexcept {
  looking_out_ = true;
  note_who_waits();
  lock.unlock();
  const auto end = clock::now() + soon;
  while (submitted_.empty() && clock::now() < end) continue;
  lock.lock();
  looking_out_ = false;
  pace_.looked_out(find_jobs());
}

void thread_pool_queue::sleep(held_lock& lock) noexcept {
  const auto start = clock::now();
  ++asleep_;
  note_who_waits();
  if (submitted_.empty()) work_came_.wait(lock);
  --asleep_;
  pace_.slept(clock::now() < start + soon);
}

void thread_pool_queue::work(std::size_t& asked) noexcept {
  own_pool = this;
  asked_by_worker = &asked;
  const counted_thread of_a_pool;
  ref<mailbox> home;  // Why kept for the next job: most come from the same loop, and to count each costs time
  held_lock lock(mutex_);
  while (pool_job* const job = next_job(lock)) {
    lock.unlock();
    if (home.get() != job->home_) home = ref(job->home_);
    std::size_t* const asker = job->asked_;
    job->execute();
    const bool goes_home = home && home->push(*job);
    if (!goes_home) job->nobody_waits();  // the job, and its loop, may be gone from here on
    lock.lock();
    forget(asker);
  }
}

void thread_pool_queue::shutdown() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(closed_, true)) take_in(submitted_.close());
    work_came_.notify_all();
  }
  for (std::thread& worker : workers_) {
    if (worker.joinable()) worker.join();
  }
}

std::size_t thread_pool_queue::queued() noexcept {
  const std::lock_guard lock(mutex_);
  take_in(submitted_.take_all());
  return std::min(not_begun_, limit_);
}

void submit_job(thread_pool_queue& queue, pool_job& job) {
  queue.submit(job);
}
void submit_homeless_job(thread_pool_queue& queue, pool_job& job) {
  queue.submit_homeless(job);
}
bool begin_waiting(thread_pool_queue& queue, std::size_t*& waiting) noexcept {
  return queue.begin_waiting(waiting);
}
void end_waiting(thread_pool_queue& queue, std::size_t* waiting) noexcept {
  queue.end_waiting(waiting);
}
bool is_own_worker(const thread_pool_queue& queue) noexcept {
  return own_pool == &queue;
}
bool withdraw_job(thread_pool_queue& queue, pool_job& job) noexcept {
  return queue.withdraw(job);
}

}  // namespace detail

thread_pool::thread_pool(std::size_t workers, std::size_t queue_limit) {
  if (workers == 0) workers = detail::processors();
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
