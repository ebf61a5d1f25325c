// L5 services: sockets as all families need them: made, connected to, asked for their addresses; knows system calls.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/endpoint.hpp>
#include <ringlet/fd.hpp>

namespace ringlet::detail {

/// A stream socket for this address. operation: what it is for, in errors. errors: os_error.
unique_fd open_socket(const char* operation, const endpoint& for_address);

/// errors: os_error with `name` for its operation.
void set_option(int fd, int level, int option, int value, const char* name);

/// errors: os_error.
endpoint local_name(int fd);
endpoint peer_name(int fd);

}  // namespace ringlet::detail
