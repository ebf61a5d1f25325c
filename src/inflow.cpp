// L4 io: what comes in at a socket, and who takes it; knows the driver and the scheduler.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/inflow.hpp>

#include <ringlet/detail/socket.hpp>

#include <cerrno>

namespace ringlet::detail {

// --- The kernel's side

// Nobody waits, or nothing has come that could be taken.
void inflow::go_on() noexcept {
  if (closed_) drop_all();
  if (armed()) return;
  if (awaited()) return arm();
  if (successor_ != nullptr) hand_over();
  if (closed_) owner_->input_has_ended();  // Why last: this may be destroyed by it
}

void inflow::arm() noexcept {
  prepare();
  this_driver().add_background(*this);
  submit();
}

void inflow::disarm() noexcept {
  end_with(0);
  this_driver().remove_background(*this);
}

void inflow::take_failure(int result) noexcept {
  if (result != -ECANCELED && !is_interruption(result)) note_failure(-result);
}

bool inflow::look_now() noexcept {
  must_look_ = false;
  look();
  return has_something();
}

// --- The tasks' side

// Also one that was woken: what it was woken for is dropped, and the socket may be gone when its task goes on.
void inflow::turn_away() noexcept {
  visit& v = *visitor_;
  if (awaited()) this_loop().wake(*v.waiter());
  release(v);
  v.refused_ = EBADF;
  v.flow_ = nullptr;
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
  if (visitor_ != nullptr) turn_away();
  pause();
}

void inflow::visit::cancel() noexcept {
  if (stage_ != stage::waiting) return;  // it is over
  note_cancelled();
  this_loop().wake(*waiter());
  leave();
}

// Why cancelled only here: a request that came after the task had been woken found that its wait was over.
bool inflow::visit::look() noexcept {
  if (flow_ == nullptr || flow_->finds_something()) return true;
  if (refuse_if_cancelled()) return true;
  stage_ = stage::waiting;
  if (!flow_->armed()) flow_->arm();
  return false;
}

wait_text inflow::visit::describe() const noexcept {
  if (flow_ == nullptr) return {"find out that the socket was closed"};
  return flow_->describe();
}

void inflow::visit::throw_end() const {
  throw_if_cancelled();
  if (flow_ == nullptr) throw os_error("wait for a closed socket", "", refused_);
  throw flow_->make_error(refused_);
}

}  // namespace ringlet::detail
