// L5 services: what a tracer has recorded, and how it is told; knows steps and operations.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_driver.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/tracer.hpp>

#include <map>

namespace ringlet::detail {

/// A loop begins on this thread: if a tracer waits for one, that is it.
void trace_loop();

/// "receive fd 7", of an event that has a `what`.
std::string in_words(const trace_event& event);

class trace_recorder final : private step_observer, private io_observer, private end_watch {
 public:
  explicit trace_recorder(std::size_t most_events);
  trace_recorder(const trace_recorder&) = delete;
  trace_recorder& operator=(const trace_recorder&) = delete;
  ~trace_recorder() { stop(); }

  void start();
  void stop() noexcept;

  std::vector<trace_event> events() const;
  std::uint64_t dropped() const noexcept { return dropped_; }
  std::string title(std::uint64_t task) const;

 private:
  struct title_parts {
    std::string name;
    std::string origin;  // empty: not known yet
  };

  void wait_for_loop();
  void add(trace_event event) noexcept;
  void remember(const task_record& task) noexcept;
  void note_ready(std::uint64_t woken_by) noexcept;

  void before_batch() noexcept override;
  void after_batch() noexcept override;
  void before_step(const task_record& task) noexcept override;
  void after_step(const task_record* suspended) noexcept override;
  void submitted(const io_op& op) noexcept override;
  void completed(const io_op& op, int result, bool more) noexcept override;
  void loop_ended() noexcept override { stop(); }

  std::size_t most_;
  std::vector<trace_event> events_;  // once it is full, a ring that begins at dropped_ % most_
  std::uint64_t dropped_ = 0;
  std::map<std::uint64_t, title_parts> titles_;  // of the tasks in events_, and of those that live
  ready_queue::place told_ = nullptr;            // ready tasks in front of it are in events_
  std::uint64_t running_ = 0;                    // whose step it is; 0: none
  bool saw_it_begin_ = false;                    // that step
  scheduler* loop_ = nullptr;                    // null: none yet, or stopped
};

}  // namespace ringlet::detail
