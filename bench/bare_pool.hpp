// Bench: a hand-written thread pool: one queue under one lock, results on a lock-free stack, an eventfd to wake by.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace bench::bare {

struct job {
  long (*function)(long);
  long argument;
  long result = 0;
  job* next = nullptr;
};

class worker_pool {
 public:
  explicit worker_pool(unsigned workers);
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  ~worker_pool();

  void submit(job& j);
  /// Waits until at least one job is done, and gives how many are.
  long wait();

 private:
  void work();
  void finish(job& j);
  long take_finished();

  std::mutex lock_;
  std::condition_variable filled_;
  job* first_ = nullptr;
  job* last_ = nullptr;
  unsigned idle_ = 0;
  bool over_ = false;
  std::atomic<job*> finished_{nullptr};
  std::atomic<bool> sleeping_{false};
  int bell_;
  std::vector<std::thread> threads_;
};

}  // namespace bench::bare
