// L2 scheduler: texts about tasks; knows tasks and coroutine frames, and changes none.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/task_record.hpp>

#include <cstdint>
#include <string>

namespace ringlet::detail {

/// "receive fd 7".
std::string in_words(const wait_text& wait);

/// A suspended task in a few words: "task 7 "conn 7", resumed in session at server.cpp:12".
std::string task_label(const task_record& task);

/// "task 7 "conn 7"".
std::string task_name(const task_record& task);

/// "in session at server.cpp:12": the user's own outermost coroutine of a suspended task. Empty when there is none.
std::string task_origin(const task_record& task);

/// A line for each task of this thread's loop: its number, its state and its name.
std::string list_tasks();

/// Of this thread's loop; null: there is none with this number.
task_record* find_task(std::uint64_t id);

/// One task as in dump_tasks(), without those below it.
std::string describe_task(const task_record& task);

}  // namespace ringlet::detail
