// L5 services: the process from which the workers of a process_pool are forked; knows system calls.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/fd.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace ringlet::detail {

/// Why there is one: to fork is safe only in a process without other threads, which the parent is when the pool is
/// made, and need not be when a worker has to be replaced. It has one thread, and no descriptors but its own and the
/// first three. Its workers end with it, and it ends with the parent, or when the other end of `control` is shut down.
struct fork_server {
  int pid;
  unique_fd control;  // fork_request there, fork_reply back, one after the other
};

/// What is asked of it for one of its workers, who have numbers from 0 on.
struct fork_request {
  enum class kind : std::uint32_t {
    start,  // kills it, if there is one, and forks another, who gets the descriptor that follows. Reply: 0, or the
            // errno
    end,    // kills it, if it lives, and reaps it. Reply: its status, as of waitpid(2)
  };
  kind what;
  std::uint32_t worker;
};
using fork_reply = std::int32_t;

/// In a worker's answer, what the bytes after the message_head are.
enum class answer_meaning : std::uint64_t { result, failure };

/// errors: os_error.
fork_server start_fork_server(std::size_t workers);

/// Two ends that are connected, for blocking use, and above the first three. errors: os_error.
std::pair<unique_fd, unique_fd> open_worker_pair();

}  // namespace ringlet::detail
