// L5 services: the life of a worker of a process_pool; knows system calls.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace ringlet::detail {

/// Answers calls that come in at the socket, until there are no more; then the process ends.
[[noreturn]] void work_on_calls(int socket) noexcept;

/// Reads so many bytes, waiting for them. False: the peer has gone.
bool receive_all(int socket, void* to, std::size_t size) noexcept;

/// Writes so many bytes, waiting for room. False: the peer has gone.
bool send_all(int socket, const void* from, std::size_t size) noexcept;

}  // namespace ringlet::detail
