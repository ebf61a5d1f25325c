// L5 services: sockets as all families need them: made, connected to, asked for their addresses; knows system calls.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/endpoint.hpp>
#include <ringlet/fd.hpp>

#include <utility>

namespace ringlet::detail {

/// A socket for this address. operation: what it is for, in errors. type: SOCK_STREAM or the like. errors: os_error.
unique_fd open_socket(const char* operation, const endpoint& for_address, int type);

/// Two unix-domain streams that are connected to each other. errors: os_error.
std::pair<unique_fd, unique_fd> open_socket_pair();

/// 0, or the errno value.
int bind_now(int fd, const endpoint& where) noexcept;
int connect_now(int fd, const endpoint& to) noexcept;

/// errors: os_error with `name` for its operation.
void set_option(int fd, int level, int option, int value, const char* name);

/// errors: os_error.
endpoint local_name(int fd);
endpoint peer_name(int fd);

}  // namespace ringlet::detail
