// L5 services: opens what a child is to find, and starts it; knows launch().
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/process.hpp>

#include "launch.hpp"

namespace ringlet::process {

namespace detail {

class process_handle;

/// A pipe of which no end is awaited in this process.
class raw_pipe {
 public:
  /// errors: os_error.
  void open();

  unique_fd reading;
  unique_fd writing;
};

}  // namespace detail

/// Starts what a cmd describes, or several. At most one child of a loop starts in a turn.
class launcher {
 public:
  /// errors: os_error; std::invalid_argument. cancel: before it starts.
  static task<child> start(cmd what);

  /// Each reads what the one before writes. errors: as start() of one; then none is left. cancel: before one starts;
  /// then none is left.
  static task<child_pipeline> start(std::vector<cmd> stages);

  /// errors: std::invalid_argument when `what` has a time limit or is to be checked.
  static void refuse_terms_of_run(const cmd& what);

 private:
  static void check_descriptors(const cmd& what);
  static child start_now(cmd what);
  static detail::running* adopt(detail::process_handle process, cmd& what);
  static detail::launch_plan plan_of(const cmd& what);
  static std::vector<std::string> environment_of(const cmd& what);
};

}  // namespace ringlet::process
