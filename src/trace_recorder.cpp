// L5 services: what a tracer records, and for how long; knows steps and operations.
// SPDX-License-Identifier: MIT
#include "trace_recorder.hpp"

#include <ringlet/detail/io_op.hpp>

#include "dump.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

namespace ringlet::detail {
namespace {

using kind = trace_event::kind;

// Begun outside of run(), and traces the next loop of this thread.
constinit thread_local trace_recorder* waiting = nullptr;

std::uint64_t id_of(const task_record* task) noexcept {
  return task == nullptr ? 0 : task->id();
}

std::uint64_t parent_of(const task_record& task) noexcept {
  const scope* outer = task.base_scope().outer();
  return outer == nullptr ? 0 : id_of(outer->host());
}

trace_event event_of(kind type, std::uint64_t task) noexcept {
  trace_event event{type};
  event.task = task;
  return event;
}

trace_event event_of(kind type, std::uint64_t task, const wait& reason) noexcept {
  trace_event event = event_of(type, task);
  const wait_text text = reason.describe();
  event.what = text.what;
  event.subject = text.subject;
  return event;
}

trace_event suspension_of(const task_record& task) noexcept {
  const wait* reason = task.waiting_for();
  return reason == nullptr ? event_of(kind::suspend, task.id()) : event_of(kind::suspend, task.id(), *reason);
}

trace_event event_of(kind type, const io_op& op) noexcept {
  trace_event event = event_of(type, id_of(op.waiter()), op);
  event.operation = reinterpret_cast<std::uintptr_t>(&op);
  return event;
}

}  // namespace

std::string in_words(const trace_event& event) {
  return in_words(wait_text{event.what, event.subject});
}

trace_recorder::trace_recorder(std::size_t most_events) : most_(most_events) {
  if (most_events == 0) throw std::invalid_argument("tracer: it must keep at least one event");
  events_.reserve(most_events);
  current_scheduler != nullptr ? start() : wait_for_loop();
}

void trace_recorder::wait_for_loop() {
  if (waiting != nullptr) throw std::logic_error("the next loop of this thread is traced already");
  waiting = this;
}

void trace_loop() {
  if (trace_recorder* const begun = std::exchange(waiting, nullptr)) begun->start();
}

void trace_recorder::start() {
  scheduler& loop = this_loop();
  if (loop.observed()) throw std::logic_error("this loop is traced already");
  loop_ = &loop;
  running_ = id_of(current.task);
  told_ = current.ready.end();
  loop.observe_steps(*this, step_budget);
  loop.watch_end(*this);
  this_driver().observe_operations(this);
}

void trace_recorder::stop() noexcept {
  if (waiting == this) waiting = nullptr;
  if (loop_ == nullptr) return;
  std::exchange(loop_, nullptr)->ignore_steps();
  this_driver().observe_operations(nullptr);
  if (linked()) unlink();  // not when the loop has ended
}

// --- What is kept

void trace_recorder::add(trace_event event) noexcept {
  event.when = std::chrono::steady_clock::now();  // Why the real clock: how long a step takes is what people look for
  if (events_.size() < most_) return events_.push_back(event);
  trace_event& oldest = events_[dropped_++ % most_];
  if (oldest.type == kind::end) titles_.erase(oldest.task);  // that was the last one of this task
  oldest = event;
}

// Where it began shows at its first wait when ringlet itself has spawned it, for when_all() or serve() for example.
void trace_recorder::remember(const task_record& task) noexcept {
  try {
    title_parts& title = titles_[task.id()];
    if (title.name.empty()) title.name = task_name(task);
    if (title.origin.empty()) title.origin = task_origin(task);
  } catch (const std::bad_alloc&) {  // it stays "task 7"
  }
}

std::vector<trace_event> trace_recorder::events() const {
  std::vector<trace_event> in_order = events_;
  const auto oldest = static_cast<std::ptrdiff_t>(dropped_ % most_);
  std::rotate(in_order.begin(), in_order.begin() + oldest, in_order.end());
  return in_order;
}

std::string trace_recorder::title(std::uint64_t task) const {
  const auto known = titles_.find(task);
  if (known == titles_.end() || known->second.name.empty()) return "task " + std::to_string(task);
  const auto& [name, origin] = known->second;
  return origin.empty() ? name : name + ' ' + origin;
}

// --- What is seen

// Nobody says when a task becomes ready, so that it costs nothing; whoever is new in the queue has.
void trace_recorder::note_ready(std::uint64_t woken_by) noexcept {
  current.ready.for_each_behind(told_, [&](const task_record& task) {
    remember(task);
    trace_event event = event_of(task.fresh() ? kind::spawn : kind::ready, task.id());
    event.by = task.fresh() ? parent_of(task) : woken_by;
    add(event);
  });
  told_ = current.ready.end();
}

void trace_recorder::before_batch() noexcept {
  note_ready(0);
  told_ = current.ready.begin();
}

// Only what has come in the step in which this began is not noted yet.
void trace_recorder::after_batch() noexcept {
  note_ready(std::exchange(running_, 0));
}

void trace_recorder::before_step(const task_record& task) noexcept {
  note_ready(running_);
  running_ = task.id();
  saw_it_begin_ = true;
  add(event_of(kind::resume, task.id()));
}

void trace_recorder::after_step(const task_record* suspended) noexcept {
  if (std::exchange(saw_it_begin_, false)) {
    add(suspended == nullptr ? event_of(kind::end, running_) : suspension_of(*suspended));
    if (suspended != nullptr) remember(*suspended);
  }
  note_ready(std::exchange(running_, 0));
}

void trace_recorder::submitted(const io_op& op) noexcept {
  add(event_of(kind::submit, op));
}

void trace_recorder::completed(const io_op& op, int result, bool more) noexcept {
  trace_event event = event_of(kind::complete, op);
  event.result = result;
  event.more = more;
  add(event);
}

}  // namespace ringlet::detail
