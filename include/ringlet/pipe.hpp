// L5 services: the two ends of a pipe; knows streams.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/stream.hpp>

#include <utility>

namespace ringlet {

/// The end of a pipe that is read from. Its members are those of socket_stream. threads: the loop's.
/// lifetime: closes at its end; no operation may be in flight then.
class pipe_reader : private socket_stream {
 public:
  /// Takes over a pipe's reading end, a terminal or the like, and makes it one that does not wait (O_NONBLOCK), also
  /// for others who share it. errors: os_error.
  explicit pipe_reader(unique_fd fd);

  using socket_stream::close;
  using socket_stream::fd;
  using socket_stream::observe;
  using socket_stream::read_exactly;
  using socket_stream::read_some;
  using socket_stream::receive;
};

/// The end of a pipe that is written to. Its members are those of socket_stream. threads: the loop's.
/// errors: of writing, os_error (EPIPE) when nobody reads any more; where SIGPIPE has its default action, run() makes
/// the process ignore it. lifetime: as of pipe_reader.
class pipe_writer : private socket_stream {
 public:
  /// As pipe_reader's.
  explicit pipe_writer(unique_fd fd);

  using socket_stream::close;
  using socket_stream::fd;
  using socket_stream::observe;
  using socket_stream::write_all;
  using socket_stream::write_some;

  /// Tells the reader that nothing more comes: as close().
  detail::socket::close_awaiter shutdown_send() noexcept { return close(); }
};

/// A pipe, ready for use; what is written to `second` can be read from `first`. Neither end is given to child
/// processes. errors: os_error.
std::pair<pipe_reader, pipe_writer> make_pipe();

}  // namespace ringlet
