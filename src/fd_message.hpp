// L4 io: a message that carries a descriptor; knows how the kernel wants it laid out.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/fd.hpp>

#include <cstddef>
#include <cstring>

#include <sys/socket.h>

namespace ringlet::detail {

/// Room for one byte and one descriptor, and the message that has both.
class fd_message {
 public:
  fd_message() noexcept {
    message_.msg_iov = &part_;
    message_.msg_iovlen = 1;
    message_.msg_control = control_;
    message_.msg_controllen = CMSG_LEN(sizeof(int));  // Why not CMSG_SPACE: its padding is room for a second one
  }
  fd_message(const fd_message&) = delete;
  fd_message& operator=(const fd_message&) = delete;

  void put(int fd) noexcept {
    cmsghdr& header = *CMSG_FIRSTHDR(&message_);
    header.cmsg_level = SOL_SOCKET;
    header.cmsg_type = SCM_RIGHTS;
    header.cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(&header), &fd, sizeof fd);
  }

  /// What has come; none when nothing has.
  unique_fd get() const noexcept {
    const cmsghdr* header = CMSG_FIRSTHDR(&message_);
    const bool has_one = header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
                         header->cmsg_len >= CMSG_LEN(sizeof(int));
    if (!has_one) return unique_fd();
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return unique_fd(fd);
  }

  bool truncated() const noexcept { return (message_.msg_flags & MSG_CTRUNC) != 0; }
  msghdr& header() noexcept { return message_; }

 private:
  std::byte byte_{};
  iovec part_{&byte_, 1};
  alignas(cmsghdr) std::byte control_[CMSG_SPACE(sizeof(int))] = {};
  msghdr message_{};
};

}  // namespace ringlet::detail
