// L2 scheduler: writes the tree of tasks as text; knows tasks, scopes and coroutine frames, and changes none.
// SPDX-License-Identifier: MIT
#include "dump.hpp"

#include <ringlet/scheduler.hpp>
#include <ringlet/task.hpp>

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace ringlet {
namespace {

using detail::current;
using detail::promise_base;
using detail::scope;
using detail::task_record;

// As g++ and clang call it.
std::string_view without_anonymous(std::string_view name) {
  for (const std::string_view prefix : {"{anonymous}::", "(anonymous namespace)::"}) {
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

// "ringlet::task<int> (anonymous namespace)::serve(int) [with ...]" becomes "serve".
std::string_view short_name(std::string_view function) {
  function = function.substr(0, function.find(" ["));
  if (function.find("operator()") != std::string_view::npos) return "a lambda";
  int depth = 0;
  std::size_t end = function.size();
  for (std::size_t at = function.size(); at-- > 0;) {
    const char c = function[at];
    if (c == ')' || c == '>') ++depth;
    if (c == '(' || c == '<') --depth;
    if (c == '(' && depth == 0 && end == function.size()) end = at;
    if (c == ' ' && depth == 0 && end != function.size())
      return without_anonymous(function.substr(at + 1, end - at - 1));
  }
  return without_anonymous(function.substr(0, end));
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::string state_of(const task_record& task, time_point now) {
  if (&task == current.task) return "running";
  const detail::wait* wait = task.waiting_for();
  if (wait == nullptr) return task.fresh() ? "not started" : "ready";
  const auto since = std::chrono::duration<double>(now.time_since_epoch() - duration(task.parked_since()));
  return fmt::format("{} for {:.1f} s", detail::in_words(wait->describe()), since.count());
}

// The frame itself, or the next one out that is the user's own: nobody needs to know ringlet's.
const promise_base* own_frame(const promise_base* frame) {
  while (frame != nullptr && short_name(frame->created_at().function_name()).starts_with("ringlet::detail::")) {
    frame = frame->caller();
  }
  return frame;
}

std::string place_in(const promise_base& frame, std::uint_least32_t line) {
  const std::source_location& created = frame.created_at();
  return fmt::format("in {} at {}:{}", short_name(created.function_name()), base_name(created.file_name()), line);
}

std::string begin_of(const promise_base& frame) {
  return place_in(frame, frame.created_at().line());
}

std::string place_of(const promise_base& frame) {
  const bool has_awaited = frame.awaits_in_line() != 0;
  return has_awaited ? place_in(frame, frame.awaits_in_line()) : begin_of(frame);
}

void append_awaits(std::string& out, const task_record& task, const std::string& margin) {
  if (&task == current.task) return;  // Why: what a running task was parked at last may be gone.
  for (const promise_base* frame = own_frame(task.leaf()); frame != nullptr; frame = own_frame(frame->caller())) {
    out += fmt::format("{}  {}\n", margin, place_of(*frame));
  }
}

void append_task(std::string& out, const task_record& task, time_point now, int depth) {
  const std::string margin(static_cast<std::size_t>(depth) * 2, ' ');
  const char* cancelled = task.cancelled() ? " (cancelled)" : "";
  out += fmt::format("{}{}: {}{}\n", margin, detail::task_name(task), state_of(task, now), cancelled);
  append_awaits(out, task, margin);
}

/// Calls visit(task, depth) for a task and all below it.
template <class F>
void walk(task_record& task, int depth, F& visit) {
  visit(task, depth);
  for (const scope* s = &task.base_scope(); s != nullptr; s = s->inner()) {
    if (s->children() == nullptr) continue;
    for (task_record* child = s->children()->front(); child != nullptr; child = s->children()->after(*child)) {
      walk(*child, depth + 1, visit);
    }
  }
}

template <class F>
void walk_all(F visit) {
  const scheduler* loop = detail::current_scheduler;
  if (loop != nullptr && loop->root() != nullptr) walk(*loop->root(), 0, visit);
}

}  // namespace

std::string detail::task_label(const task_record& task) {
  const promise_base* frame = own_frame(task.leaf());
  return frame == nullptr ? task_name(task) : fmt::format("{}, resumed {},", task_name(task), place_of(*frame));
}

std::string detail::in_words(const wait_text& wait) {
  return wait.subject < 0 ? std::string(wait.what) : fmt::format("{} {}", wait.what, wait.subject);
}

std::string detail::task_name(const task_record& task) {
  if (task.name() == nullptr) return fmt::format("task {}", task.id());
  return fmt::format("task {} \"{}\"", task.id(), task.name());
}

std::string detail::task_origin(const task_record& task) {
  const promise_base* outermost = own_frame(task.leaf());
  for (const promise_base* frame = outermost; frame != nullptr; frame = own_frame(frame->caller())) outermost = frame;
  return outermost == nullptr ? std::string() : begin_of(*outermost);
}

std::string detail::list_tasks() {
  std::string out;
  walk_all([&](const task_record& task, int) {
    const char* name = task.name() == nullptr ? "" : task.name();
    out += fmt::format("{:>6}  {:<40} {}\n", task.id(), state_of(task, current_scheduler->now()), name);
  });
  return out;
}

task_record* detail::find_task(std::uint64_t id) {
  task_record* found = nullptr;
  walk_all([&](task_record& task, int) {
    if (task.id() == id) found = &task;
  });
  return found;
}

std::string detail::describe_task(const task_record& task) {
  std::string out;
  append_task(out, task, current_scheduler->now(), 0);
  return out;
}

std::string dump_tasks() {
  std::string out;
  walk_all(
      [&](const task_record& task, int depth) { append_task(out, task, detail::current_scheduler->now(), depth); });
  return out;
}

}  // namespace ringlet
