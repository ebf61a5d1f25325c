// Bench: the hand-written servers, which are the limits that ringlet is measured by. Each serves until SIGTERM.
// SPDX-License-Identifier: MIT
#pragma once

namespace bench {

/// Edge-triggered epoll, direct calls on one hot buffer.
void serve_epoll(int listener);

/// Multishot poll of io_uring, direct calls on one hot buffer.
void serve_poll(int listener);

/// One receive at a time into a buffer of the connection.
void serve_one_shot(int listener);

struct multishot_style {
  unsigned buffers;
  unsigned buffer_size;
  bool incremental;  // a buffer takes one message after the other until it is full
  bool direct;       // direct descriptors: sockets that only the ring knows
};

/// Multishot receive into provided buffers.
void serve_multishot(int listener, multishot_style style);

}  // namespace bench
