// L2 scheduler: texts about tasks; knows tasks and coroutine frames, and changes none.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/task_record.hpp>

#include <string>

namespace ringlet::detail {

/// A suspended task in a few words: "task 7 "conn 7", resumed in session at server.cpp:12".
std::string task_label(const task_record& task);

}  // namespace ringlet::detail
