// L5 services: a process that was started, until it is reaped, and what goes through its pipes; knows pipes and pidfds.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/process.hpp>

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringlet::process::detail {

/// A process that is ours to reap.
class process_handle {
 public:
  process_handle(int pid, unique_fd pidfd, bool leads_group) noexcept
      : pid_(pid), pidfd_(std::move(pidfd)), leads_group_(leads_group) {}
  process_handle(process_handle&&) = default;

  int pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_.get(); }

  /// The status; empty until it is reaped.
  const std::optional<status>& end() const noexcept { return end_; }

  /// Reaps it, if it has ended. flags: WNOHANG, or 0 to block.
  void reap(int flags) noexcept;

  /// True when it was reaped, or can be.
  bool has_ended() noexcept;

  /// 0, or the errno. One that has ended is no error.
  int send(int signal) noexcept;
  /// Also to its group, if it leads one.
  void send_to_all(int signal) noexcept;

 private:
  int wait_for_it(siginfo_t& info, int flags) const noexcept;

  int pid_;
  unique_fd pidfd_;  // none: there are no pidfds here, or it has ended and its status is lost
  bool leads_group_;
  std::optional<status> end_;
};

/// What goes in and out of children through the parent's ends of their pipes.
class transfers {
 public:
  std::optional<pipe_writer> in;   // empty: no pipe, or closed
  std::optional<pipe_reader> out;  // the same
  std::optional<pipe_reader> err;

  /// Writes and reads until all pipes are closed. usual_input: counts unless there is one. cancel: safe; another call
  /// goes on.
  task<> go_on(std::string usual_input);

  void give_captured(completed& to) noexcept;

  std::optional<std::string> input;  // empty: not told yet

 private:
  task<> feed();
  static task<> drain(std::optional<pipe_reader>& from, std::string& to);

  std::uint64_t fed_ = 0;  // bytes of the input that were written
  std::string out_text_;
  std::string err_text_;
};

/// What a child is behind its handle. Kills and reaps at its end.
class running {
 public:
  running(process_handle process, std::string program, kill_policy policy) noexcept
      : process_(std::move(process)), program_(std::move(program)), policy_(std::move(policy)) {}
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running();

  process_handle& process() noexcept { return process_; }
  const std::optional<status>& poll() noexcept;
  task<status> wait();
  /// Waits for its end, and does not reap it.
  task<> ended();
  task<status> stop();
  task<completed> communicate(std::string input);

  transfers streams;

 private:
  task<> may_have_ended();
  void tell_of_kill();

  process_handle process_;
  std::string program_;
  kill_policy policy_;
  unsigned stops_ = 0;  // stop() calls that are not over
};

/// What a pipeline of children is behind its handle.
class running_pipeline {
 public:
  std::optional<completed> poll();
  task<completed> wait();
  task<completed> stop();
  task<completed> communicate(std::string input);
  void send_signal(int number);

  /// Only when all have ended.
  completed ends_and_captured();

  std::vector<child> stages;
  transfers streams;
};

}  // namespace ringlet::process::detail
