// L5 services: tracer, which records what the tasks of a loop do and when; knows only times.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ringlet {

namespace detail {

class trace_recorder;

}  // namespace detail

/// One thing that a tracer has seen.
struct trace_event {
  /// What can happen.
  enum class kind : unsigned char {
    spawn,     // there is a new task; `by` is its parent
    ready,     // a task can run; `by` is who woke it, in a step of its own
    resume,    // a step of a task begins
    suspend,   // and ends; the task waits for `what` and `subject`, as in dumps
    end,       // and was the task's last
    submit,    // an operation goes to the kernel
    complete,  // and has a result
  };

  kind type;                     // what happened
  bool more = false;             // of complete: the operation goes on
  int result = 0;                // of complete: as the system call gives it; negative: -errno
  time_point when{};             // of the real clock, whatever clock the loop has
  std::uint64_t task = 0;        // the number that dumps show; 0: of an operation that goes on by itself
  std::uint64_t by = 0;          // 0: no task, but the loop, for the kernel, a timer or another thread
  const char* what = nullptr;    // "receive fd"; null: of suspend, for nothing but another turn
  long long subject = -1;        // of what; -1: none
  std::uintptr_t operation = 0;  // the same for submit and complete; used again once it is over
};

/// Records what the tasks of one loop do, from its construction on: of the loop that runs on this thread, or else of
/// the next that run() begins here. It keeps the newest events; steps become about 0.2 us longer.
/// errors: std::logic_error when that loop is traced already; std::invalid_argument when most_events is 0.
/// threads: of one. lifetime: may outlive the loop, and keeps what it has recorded.
class tracer {
 public:
  /// most_events: how many it keeps, at about 60 bytes each, allocated at once.
  explicit tracer(std::size_t most_events = 100'000);
  tracer(const tracer&) = delete;
  tracer& operator=(const tracer&) = delete;
  ~tracer();

  /// Records nothing from now on. When it has stopped already, it does nothing.
  void stop() noexcept;

  /// What is recorded and kept, oldest first.
  std::vector<trace_event> events() const;

  /// How many events were recorded and are not kept any more.
  std::uint64_t dropped() const noexcept;

  /// "task 7 "conn 7" in session at server.cpp:12": the name, and where the task began. Of a task that is not known
  /// "task 7".
  std::string title(std::uint64_t task) const;

  /// What is kept as text, a line for each event, with milliseconds since the first.
  std::string text() const;

  /// What is kept in Chrome's trace event format, for ui.perfetto.dev and chrome://tracing: a row for each task, with
  /// what it did and what it waited for, and who spawned it; and each operation from submission to completion.
  std::string chrome_trace() const;

  /// Writes chrome_trace() to a file, in place of what is there. Blocks the thread meanwhile. errors: os_error.
  void write_chrome_trace(const std::string& path) const;

 private:
  detail::trace_recorder* recorder_;  // owned
};

}  // namespace ringlet
