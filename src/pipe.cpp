// L5 services: makes pipes; knows the system call.
// SPDX-License-Identifier: MIT
#include <ringlet/pipe.hpp>

#include <ringlet/error.hpp>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace ringlet {
namespace {

// Kernel: only then does an operation wait in the ring's way, on 6.1 as well, and a direct call not at all.
unique_fd unblocked(unique_fd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) throw os_error("fcntl", fd.get(), errno);
  return fd;
}

}  // namespace

pipe_reader::pipe_reader(unique_fd fd)
    : socket_stream(detail::socket_owner(unblocked(std::move(fd)), detail::medium::pipe)) {}

pipe_writer::pipe_writer(unique_fd fd)
    : socket_stream(detail::socket_owner(unblocked(std::move(fd)), detail::medium::pipe)) {}

std::pair<pipe_reader, pipe_writer> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw os_error("pipe", "", errno);
  unique_fd reading(ends[0]);
  unique_fd writing(ends[1]);
  return {pipe_reader(std::move(reading)), pipe_writer(std::move(writing))};
}

}  // namespace ringlet
