// L5 services: monitor, which shows over a connection what the tasks of a loop do; knows listeners and tasks.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/task.hpp>
#include <ringlet/tcp_listener.hpp>

namespace ringlet {

/// Lets people look at the tasks of this loop, and cancel them, with `nc HOST PORT`: "help" lists the commands. Whoever
/// can connect can do so; there is no password. Usually begun by options::monitor(), beside the root task.
/// errors: os_error of accepting. cancel: ends it, and its connections at once.
task<> monitor(tcp_listener listener);

}  // namespace ringlet
