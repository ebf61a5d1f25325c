// L5 services: a trace in Chrome's trace event format; knows events and JSON.
// SPDX-License-Identifier: MIT
#include <ringlet/tracer.hpp>

#include <ringlet/error.hpp>

#include "trace_recorder.hpp"

#include <cerrno>
#include <cstdio>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace ringlet {
namespace {

using kind = trace_event::kind;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\u{:04x}", byte);  // Why also above ASCII: nobody knows that it is valid UTF-8
    } else {
      out += c;
    }
  }
  return out + '"';
}

/// Puts one JSON object after another. Each task is a "thread" of its own; 0 stands for the loop.
class writer {
 public:
  explicit writer(time_point start) noexcept : start_(start) {}

  /// The fields that all have, and then `more`, which begins with a comma if there is any.
  void put(char phase, std::uint64_t task, time_point when, std::string_view more) {
    fmt::format_to(std::back_inserter(out_), "{}\n{{\"ph\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{:.3f}{}}}",
                   out_.empty() ? "" : ",", phase, pid_, task, microseconds(when - start_), more);
  }

  void put_slice(std::uint64_t task, time_point from, time_point to, std::string_view name, std::string_view category) {
    if (from == to) return;
    put('X', task, from,
        fmt::format(",\"dur\":{:.3f},\"name\":{},\"cat\":\"{}\"", microseconds(to - from), quoted(name), category));
  }

  std::string take() { return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[" + std::move(out_) + "\n]}\n"; }

 private:
  static double microseconds(duration d) noexcept { return std::chrono::duration<double, std::micro>(d).count(); }

  time_point start_;
  int pid_ = ::getpid();
  std::string out_;
};

/// What a task has done since when.
struct stretch {
  time_point since;
  std::string name;
  const char* category;
};

/// Makes of events what the format knows: slices of time in a row for each task, and arcs for operations.
class chrome_events {
 public:
  explicit chrome_events(time_point start) : out_(start) {}

  void add(const trace_event& e) {
    switch (e.type) {
      case kind::spawn: return add_spawn(e);
      case kind::ready: return turn_to(e, {e.when, "ready", "ready"});
      case kind::resume: return add_resume(e);
      case kind::suspend: return turn_to(e, {e.when, e.what == nullptr ? "ready" : detail::in_words(e), "waiting"});
      case kind::end: return add_end(e);
      case kind::submit: return add_submit(e);
      case kind::complete: return add_complete(e);
    }
  }

  void name_row(const trace_event& first, const std::string& title) {
    out_.put('M', first.task, first.when,
             fmt::format(",\"name\":\"thread_name\",\"args\":{{\"name\":{}}}", quoted(title)));
  }

  /// What is under way goes on until then.
  std::string finish(time_point end) {
    for (const auto& [task, s] : stretches_) out_.put_slice(task, s.since, end, s.name, s.category);
    return out_.take();
  }

 private:
  // Where a slice is shown, an arrow goes from the parent to the first step.
  void add_spawn(const trace_event& e) {
    turn_to(e, {e.when, "ready", "ready"});
    if (e.by == 0) return;
    unbegun_.insert(e.task);
    out_.put('s', e.by, e.when, fmt::format(",\"name\":\"spawn\",\"cat\":\"spawn\",\"id\":{}", e.task));
  }

  void add_resume(const trace_event& e) {
    turn_to(e, {e.when, "running", "running"});
    if (unbegun_.erase(e.task) == 0) return;
    out_.put('f', e.task, e.when, fmt::format(",\"name\":\"spawn\",\"cat\":\"spawn\",\"bp\":\"e\",\"id\":{}", e.task));
  }

  void turn_to(const trace_event& e, stretch next) {
    add_end(e);
    stretches_[e.task] = std::move(next);
  }

  void add_end(const trace_event& e) {
    const auto at = stretches_.find(e.task);
    if (at == stretches_.end()) return;
    out_.put_slice(e.task, at->second.since, e.when, at->second.name, at->second.category);
    stretches_.erase(at);
  }

  void add_submit(const trace_event& e) {
    in_flight_.insert(e.operation);
    put_operation('b', e, "");
  }

  // One that was submitted before the trace began, or before what is kept of it, has no beginning to end.
  void add_complete(const trace_event& e) {
    const std::string result = fmt::format(",\"args\":{{\"result\":{}}}", e.result);
    if (!in_flight_.contains(e.operation)) return;
    put_operation(e.more ? 'n' : 'e', e, result);
    if (!e.more) in_flight_.erase(e.operation);
  }

  void put_operation(char phase, const trace_event& e, std::string_view args) {
    out_.put(
        phase, e.task, e.when,
        fmt::format(",\"name\":{},\"cat\":\"io\",\"id\":\"{:#x}\"{}", quoted(detail::in_words(e)), e.operation, args));
  }

  writer out_;
  std::map<std::uint64_t, stretch> stretches_;  // what each task does now
  std::set<std::uint64_t> unbegun_;             // spawned, and not yet resumed
  std::set<std::uintptr_t> in_flight_;
};

/// Closes on the way out.
class output_file {
 public:
  explicit output_file(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "we")) {
    if (file_ == nullptr) throw os_error("open", path_, errno);
  }
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;
  ~output_file() {
    if (file_ != nullptr) std::fclose(file_);
  }

  void write(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) throw os_error("write", path_, errno);
  }
  /// What is still in its buffer may be refused here.
  void close() {
    if (std::fclose(std::exchange(file_, nullptr)) != 0) throw os_error("write", path_, errno);
  }

 private:
  const std::string& path_;
  std::FILE* file_;  // null: closed
};

}  // namespace

std::string tracer::chrome_trace() const {
  const std::vector<trace_event> all = events();
  if (all.empty()) return chrome_events({}).finish({});
  chrome_events out(all.front().when);
  std::set<std::uint64_t> named;
  for (const trace_event& e : all) {
    if (e.task != 0 && named.insert(e.task).second) out.name_row(e, title(e.task));
    out.add(e);
  }
  return out.finish(all.back().when);
}

void tracer::write_chrome_trace(const std::string& path) const {
  output_file file(path);
  file.write(chrome_trace());
  file.close();
}

}  // namespace ringlet
