// L1 coroutine types: what happens to a task that nobody awaited; knows only the check.
// SPDX-License-Identifier: MIT
#include <ringlet/task.hpp>

namespace ringlet::detail {

void task_never_awaited(const std::source_location& created) noexcept {
  check_failed(created.file_name(), static_cast<int>(created.line()), "awaited",
               "this task was destroyed without being awaited", nullptr, 0);
}

}  // namespace ringlet::detail
