// L1 coroutine types: how a cancel request spreads through the tree of scopes and tasks; knows no scheduler.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/task_record.hpp>

#include <ringlet/detail/execution.hpp>

namespace ringlet::detail {

scope::scope(const scope& other) noexcept : shielded_(other.shielded_) {
  RINGLET_CHECK(!other.entered(), "a cancel scope was moved while in use");
}

void scope::enter() noexcept {
  RINGLET_CHECK(current.task != nullptr, "a cancel scope was entered outside of a task");
  RINGLET_CHECK(host_ == nullptr, "a cancel scope was entered twice");
  host_ = current.task;
  outer_ = host_->innermost_;
  outer_->inner_ = this;
  host_->innermost_ = this;
  cancelled_ = requested_ || cancelled_from_outside();
}

void scope::leave() noexcept {
  RINGLET_CHECK(host_ != nullptr && inner_ == nullptr, "cancel scopes must be left in the order opposite to entering");
  host_->innermost_ = outer_;
  outer_->inner_ = nullptr;
  host_ = nullptr;
}

void scope::cancel(reach how_far) noexcept {
  requested_ = true;
  const bool already_spread = cancelled_ && how_far == reach::up_to_shields;
  if (host_ != nullptr && !already_spread) spread(how_far);
}

// Walks the tree below this scope without a stack: down to child tasks, then inwards, then to the next sibling.
void scope::spread(reach how_far) noexcept {
  for (scope* at = this; at != nullptr;) {
    at->cancelled_ = true;
    const bool has_children = at->children_ != nullptr && !at->children_->empty();
    at = has_children ? &at->children_->front()->base_ : at->next_to_cancel(*this, how_far);
  }
}

scope* scope::next_to_cancel(const scope& top, reach how_far) noexcept {
  for (scope* at = this;;) {
    const bool goes_inwards = at->inner_ != nullptr && (!at->inner_->shielded_ || how_far == reach::through_shields);
    if (goes_inwards) return at->inner_;
    task_record& host = *at->host_;
    if (at->inner_ == nullptr) host.interrupt();
    if (&host == top.host_) return nullptr;
    scope* nursery = host.base_.outer_;
    if (task_record* sibling = nursery->children_->after(host)) return &sibling->base_;
    at = nursery;
  }
}

}  // namespace ringlet::detail
