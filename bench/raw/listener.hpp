// Bench: what all hand-written servers share: the listening socket, and how they are told to stop.
// SPDX-License-Identifier: MIT
#pragma once

namespace bench {

/// Listens on a free port of 127.0.0.1, and says which. Accepted sockets send small writes at once.
/// errors: std::system_error.
int listen_on_loopback();

/// After SIGTERM or SIGINT; both interrupt a system call that waits.
bool stop_requested() noexcept;
void listen_to_signals();

}  // namespace bench
