// Bench: a hand-written thread pool: one queue under one lock, results on a lock-free stack, an eventfd to wake by.
// SPDX-License-Identifier: MIT
#include "bare_pool.hpp"

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace bench::bare {

worker_pool::worker_pool(unsigned workers) : bell_(eventfd(0, EFD_CLOEXEC)) {
  if (bell_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
  for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
}

worker_pool::~worker_pool() {
  {
    const std::lock_guard guard(lock_);
    over_ = true;
  }
  filled_.notify_all();
  for (std::thread& t : threads_) t.join();
  close(bell_);
}

void worker_pool::submit(job& j) {
  bool wake = false;
  {
    const std::lock_guard guard(lock_);
    (first_ == nullptr ? first_ : last_->next) = &j;
    last_ = &j;
    wake = idle_ > 0;
  }
  if (wake) filled_.notify_one();
}

void worker_pool::work() {
  for (;;) {
    job* mine = nullptr;
    {
      std::unique_lock guard(lock_);
      ++idle_;
      filled_.wait(guard, [this] { return first_ != nullptr || over_; });
      --idle_;
      if (first_ == nullptr) return;
      mine = first_;
      first_ = first_->next;
    }
    mine->result = mine->function(mine->argument);
    finish(*mine);
  }
}

void worker_pool::finish(job& j) {
  j.next = finished_.load(std::memory_order_relaxed);
  while (!finished_.compare_exchange_weak(j.next, &j)) continue;
  if (!sleeping_.exchange(false)) return;
  const std::uint64_t one = 1;
  if (write(bell_, &one, sizeof one) < 0) throw std::system_error(errno, std::system_category(), "write");
}

long worker_pool::take_finished() {
  long count = 0;
  for (const job* j = finished_.exchange(nullptr); j != nullptr; j = j->next) ++count;
  return count;
}

long worker_pool::wait() {
  for (;;) {
    if (const long count = take_finished()) return count;
    sleeping_ = true;
    if (finished_.load() == nullptr || !sleeping_.exchange(false)) {
      std::uint64_t rings = 0;
      if (read(bell_, &rings, sizeof rings) < 0) throw std::system_error(errno, std::system_category(), "read");
    }
  }
}

}  // namespace bench::bare
