// L5 services: a trace as lines of text; knows events.
// SPDX-License-Identifier: MIT
#include <ringlet/tracer.hpp>

#include "trace_recorder.hpp"

#include <iterator>

#include <fmt/format.h>

namespace ringlet {
namespace {

using kind = trace_event::kind;

const char* verb(kind type) noexcept {
  switch (type) {
    case kind::spawn: return "spawn";
    case kind::ready: return "ready";
    case kind::resume: return "resume";
    case kind::suspend: return "suspend";
    case kind::end: return "end";
    case kind::submit: return "submit";
    case kind::complete: return "complete";
  }
  return "?";
}

std::string task_or_loop(std::uint64_t task) {
  return task == 0 ? "the loop" : fmt::format("task {}", task);
}

// What is behind the task.
std::string rest_of(const trace_event& e) {
  switch (e.type) {
    case kind::spawn:
    case kind::ready: return ", by " + task_or_loop(e.by);
    case kind::suspend: return e.what == nullptr ? std::string() : ": " + detail::in_words(e);
    case kind::submit: return ": " + detail::in_words(e);
    case kind::complete:
      return fmt::format(": {} gave {}{}", detail::in_words(e), e.result, e.more ? ", more to come" : "");
    case kind::resume:
    case kind::end: break;
  }
  return {};
}

}  // namespace

std::string tracer::text() const {
  std::string out;
  const std::vector<trace_event> all = events();
  for (const trace_event& e : all) {
    const std::chrono::duration<double, std::milli> since_first = e.when - all.front().when;
    fmt::format_to(std::back_inserter(out), "{:>12.3f}  {:<8}  ", since_first.count(), verb(e.type));
    out += (e.type == kind::spawn ? title(e.task) : task_or_loop(e.task)) + rest_of(e) + '\n';
  }
  return out;
}

}  // namespace ringlet
