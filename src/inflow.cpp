// L4 io: what comes in at a socket, and who takes it; knows the driver and the scheduler.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/inflow.hpp>

#include <ringlet/detail/socket.hpp>

#include <cerrno>

namespace ringlet::detail {

// --- The kernel's side

void inflow::complete(int result, buffer* filled, bool more) noexcept {
  if (!more) end_with(0);
  if (result >= 0) {
    store(result, filled);
  } else if (result != -ECANCELED && result != -EINTR && result != -EAGAIN) {
    note_failure(-result);
  }
  if (closed_) drop_all();
  if (successor_ != nullptr && !armed()) hand_over();
  if (visitor_ != nullptr) {
    if (has_something()) {
      wake_visitor();
    } else if (!armed()) {
      arm();
    }
  }
  keep_count();
  if (closed_ && !armed()) owner_->input_has_ended();  // Why last: this may be destroyed by it
}

void inflow::arm() noexcept {
  prepare();
  submit();
}

// Invariant: a request that only fills the queue keeps no task alive; one that is ending will soon be heard of.
void inflow::keep_count() noexcept {
  const bool unattended = armed() && !cancelling() && visitor_ == nullptr;
  if (unattended == unattended_) return;
  unattended_ = unattended;
  this_driver().count_unattended(unattended ? 1 : -1);
}

// --- The tasks' side

void inflow::begin(visit& v) noexcept {
  visitor_ = &v;
  if (!armed()) arm();
  keep_count();
}

void inflow::wake_visitor() noexcept {
  task_record& task = *visitor_->waiter();
  visitor_ = nullptr;
  this_loop().wake(task);
}

void inflow::make_way_for(io_op& op) noexcept {
  successor_ = &op;
  op.await_turn();
  if (armed()) {
    pause();
  } else {
    hand_over();
  }
}

void inflow::hand_over() noexcept {
  io_op& op = *std::exchange(successor_, nullptr);
  if (op.end_requested()) return op.complete(-ECANCELED, nullptr, false);
  const int at_once = pass_on(op.request());
  if (at_once != -EAGAIN) return op.complete(at_once, nullptr, false);
  this_driver().submit(op);
}

void inflow::close() noexcept {
  closed_ = true;
  drop_all();
  if (visitor_ != nullptr) {
    visitor_->refused_ = EBADF;
    wake_visitor();
  }
  cancel();
  keep_count();
}

bool inflow::visit::await_ready() noexcept {
  if (cancel_requested()) {
    cancelled_ = true;
    return true;
  }
  refused_ = flow_->owner().refusal_of_input();
  return refused_ != 0 || flow_->has_something();
}

void inflow::visit::cancel() noexcept {
  if (flow_->visitor_ != this) return;  // it is over
  cancelled_ = true;
  flow_->wake_visitor();
  flow_->keep_count();
}

wait_text inflow::visit::describe() const noexcept {
  return flow_->describe();
}

void inflow::visit::throw_end() const {
  if (cancelled_) throw cancelled{};
  throw flow_->make_error(refused_);
}

}  // namespace ringlet::detail
