// L5 services: how a program is started in a new process; knows vfork and exec.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/fd.hpp>

#include <array>
#include <string>
#include <vector>

namespace ringlet::process::detail {

/// All that the new process needs, made ready beforehand, because between vfork() and exec() nothing may be allocated.
struct launch_plan {
  std::vector<std::string> candidates;  // paths to try, in order
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value"
  std::string name;                      // for errors
  const char* directory = nullptr;       // null: the parent's
  std::array<int, 3> standard{0, 1, 2};  // what the first three descriptors are copies of
  std::vector<int> passed;
  bool new_session = false;
  bool new_group = false;
};

struct launched {
  int pid;
  unique_fd pidfd;  // none: there are no pidfds here, or it has ended and is reaped
};

/// The same descriptor, or a copy of it that a child's first three cannot be mistaken for. Why: a parent whose own are
/// closed gets their numbers. errors: os_error.
unique_fd above_the_first_three(unique_fd fd);

/// errors: os_error, which names the step that failed and its file; then there is no child.
launched launch(const launch_plan& plan);

}  // namespace ringlet::process::detail
