// Test kit: what tests on the real kernel share: a time limit, connected streams, pipes, and sockets from outside.
#pragma once

#include "kit/catch.hpp"
#include "kit/errors.hpp"
#include "kit/to_the_end.hpp"

#include <ringlet/ringlet.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace kernel {

using namespace ringlet;
using namespace std::chrono_literals;
using kit::error_of;
using kit::expect_error;

/// No test takes longer: what hangs fails with timed_out.
inline constexpr auto time_limit = 60s;

/// body: () -> task<>. Runs on a ring, and fails when it hangs.
template <class Body>
void in_time(const options& how, Body body) {
  kit::run_to_the_end(how, [&]() -> task<> {
    auto work = body();
    co_await with_timeout(time_limit, std::move(work));
  });
}

template <class Body>
void in_time(Body body) {
  in_time(options(), std::move(body));
}

/// True with RINGLET_PLAIN=1: no optional feature of the kernel is used.
bool plain_path();

/// Both ends of a connection over loopback.
struct connection {
  tcp_stream client;
  tcp_stream server;
};
task<connection> connect_pair();

/// Makes both buffers of a socket small. Why not smaller: with windows of less than a segment of loopback, TCP goes at
/// the pace of its timers.
void shrink_buffers(int fd);

/// Writes until no more is taken; gives how much that was. Bounded.
std::size_t fill(int fd);

struct pipe_ends {
  unique_fd read;
  unique_fd write;
};
pipe_ends plain_pipe(int flags = 0);

/// A TCP socket that listens on loopback, outside of any loop. backlog: as for listen(2).
class plain_listener {
 public:
  explicit plain_listener(int backlog = 16);
  int fd() const noexcept { return fd_.get(); }
  endpoint where() const { return where_; }

 private:
  unique_fd fd_;
  endpoint where_;
};

/// A blocking socket connected to `where`, outside of any loop.
unique_fd plain_connect(const endpoint& where);

/// Listens, but takes no more connections: a connect to it waits.
class full_listener {
 public:
  full_listener();
  endpoint where() const { return listener_.where(); }

 private:
  plain_listener listener_;
  std::vector<unique_fd> clients_;
};

/// True where there is an IPv6 loopback address.
bool v6_works();

/// An address on loopback where nobody listens.
endpoint closed_port();

/// The descriptors that are open now.
std::set<int> open_descriptors();

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// What is read at once must be this; empty is the end of the stream.
task<> expect_text(socket_stream& from, std::string expected);

}  // namespace kernel
