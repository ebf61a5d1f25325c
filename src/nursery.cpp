// L3 scopes: what a nursery does when a child has finished; knows the scheduler.
// SPDX-License-Identifier: MIT
#include <ringlet/nursery.hpp>

namespace ringlet {

nursery::nursery() noexcept {
  adopt_children(children_);
  enter();
}

nursery::~nursery() {
  RINGLET_CHECK(size_ == 0, "a nursery was destroyed with {} children in it", size_);
}

void nursery::child_finished(detail::child_base& child) noexcept {
  child.unlink();
  --size_;
  if (!child.succeeded()) note_early_end(child);
  if (size_ == 0 && joiner_ != nullptr) detail::this_loop().wake(*std::exchange(joiner_, nullptr)->waiter());
}

void nursery::note_early_end(const detail::child_base& child) noexcept {
  const bool by_us = requested() || child.base_scope().requested();
  if (child.was_cancelled() && cancelled() && !by_us) interrupted_ = true;
  if (std::exception_ptr error = child.error()) fail(std::move(error));
}

void nursery::fail(std::exception_ptr error) noexcept {
  if (!error_) {
    error_ = std::move(error);
    cancel();
  } else if (error != error_) {  // Why: a body that awaits its failed child passes the same exception on.
    detail::this_loop().count_unseen_error();
  }
}

}  // namespace ringlet
