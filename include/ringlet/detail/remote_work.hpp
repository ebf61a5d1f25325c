// L2 scheduler: one piece of work that another thread hands to the loop; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

namespace ringlet::detail {

/// Lives in its owner: an awaiter's frame, or the heap for a posted function.
class remote_work {
 public:
  /// Runs on the loop, between two turns, outside of any task. May destroy the object.
  virtual void run() noexcept = 0;

  remote_work* next() const noexcept { return next_; }

 protected:
  remote_work() = default;
  remote_work(const remote_work&) noexcept {}
  remote_work& operator=(const remote_work&) = delete;
  ~remote_work() = default;

 private:
  friend class work_stack;
  remote_work* next_ = nullptr;
};

/// Keeps what a posted function threw, so that run() can throw it.
void posted_function_failed() noexcept;

template <class F>
class posted_function final : public remote_work {
 public:
  template <class G>
  explicit posted_function(G&& function) : function_(std::forward<G>(function)) {}

  void run() noexcept override {
    try {
      function_();
    } catch (...) {
      posted_function_failed();
    }
    delete this;
  }

 private:
  F function_;
};

}  // namespace ringlet::detail
