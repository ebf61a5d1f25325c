// L4 io: moving bytes into a pipe within the kernel; knows sockets.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/socket.hpp>

namespace ringlet::detail {

/// True when splice_into() can be tried: `to` is a pipe, and nothing of `from` has been read ahead.
inline bool can_splice(const socket& from, const socket& to) noexcept {
  return to.is_pipe() && from.input() == nullptr;
}

/// Moves what comes from `from` into the pipe, until there is nothing more or the kernel cannot: who goes on with
/// reading finds out which. Nothing is read before there is room for it. moved: what was moved is added to it.
/// errors: os_error, "splice fd 5 to fd 6: broken pipe". cancel: safe; `moved` is right at all times.
task<> splice_into(socket& from, socket& to, std::uint64_t& moved);

}  // namespace ringlet::detail
