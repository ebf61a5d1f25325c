// L4 io: an event descriptor, by which threads and signal handlers wake who polls it; knows the system call.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/fd.hpp>

namespace ringlet::detail {

/// One that does not wait. errors: os_error.
unique_fd make_event_fd();

/// Makes it readable. threads: any, also in a signal handler.
void raise_event(int fd) noexcept;

/// Makes it unreadable again.
void lower_event(int fd) noexcept;

}  // namespace ringlet::detail
