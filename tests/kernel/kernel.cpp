// Test kit: what tests on the real kernel share.
#include "kernel.hpp"

#include <cctype>
#include <cstdlib>
#include <stdexcept>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kernel {
namespace {

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

endpoint local_name(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  checked(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return endpoint(reinterpret_cast<sockaddr*>(&address), size);
}

unique_fd bound_socket() {
  unique_fd fd(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const endpoint any_port("localhost", 0);
  checked(::bind(fd.get(), any_port.data(), static_cast<socklen_t>(any_port.size())), "bind");
  return fd;
}

}  // namespace

bool plain_path() {
  const char* said = std::getenv("RINGLET_PLAIN");
  return said != nullptr && std::string(said) == "1";
}

task<connection> connect_pair() {
  tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
  tcp_stream client = co_await tcp_stream::connect(listener.local());
  tcp_stream server = co_await listener.accept();
  co_return connection{std::move(client), std::move(server)};
}

task<> expect_text(socket_stream& from, std::string expected) {
  std::vector<char> buffer(expected.size() + 64);
  const std::size_t got = co_await from.read_some(std::as_writable_bytes(std::span(buffer)));
  CHECK(std::string(buffer.data(), got) == expected);
}

void shrink_buffers(int fd) {
  const int size = 128 * 1024;
  checked(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), "setsockopt");
  checked(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), "setsockopt");
}

// Why again and again: what is on its way makes room in the sender's buffer a moment later.
std::size_t fill(int fd) {
  const std::vector<char> chunk(4096, 'x');
  const int old_flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, old_flags | O_NONBLOCK);
  std::size_t total = 0;
  for (int refused = 0; refused < 20;) {
    const ssize_t written = ::write(fd, chunk.data(), chunk.size());
    if (written > 0) {
      total += static_cast<std::size_t>(written);
      refused = 0;
    } else {
      ++refused;
      ::usleep(1000);
    }
  }
  ::fcntl(fd, F_SETFL, old_flags);
  return total;
}

pipe_ends plain_pipe(int flags) {
  int ends[2];
  checked(::pipe2(ends, O_CLOEXEC | flags), "pipe2");
  return {unique_fd(ends[0]), unique_fd(ends[1])};
}

plain_listener::plain_listener(int backlog) : fd_(bound_socket()), where_(local_name(fd_.get())) {
  checked(::listen(fd_.get(), backlog), "listen");
}

unique_fd plain_connect(const endpoint& where) {
  unique_fd fd(checked(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  checked(::connect(fd.get(), where.data(), static_cast<socklen_t>(where.size())), "connect");
  return fd;
}

full_listener::full_listener() : listener_(0) {
  const endpoint to = where();
  for (int count = 0; count < 4; ++count) {
    clients_.emplace_back(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    [[maybe_unused]] const int pending = ::connect(clients_.back().get(), to.data(), static_cast<socklen_t>(to.size()));
  }
}

bool v6_works() {
  const unique_fd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const endpoint loopback("::1", 0);
  return fd && ::bind(fd.get(), loopback.data(), static_cast<socklen_t>(loopback.size())) == 0;
}

endpoint closed_port() {
  return local_name(bound_socket().get());
}

std::set<int> open_descriptors() {
  std::set<int> numbers;
  DIR* folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(folder)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0) numbers.insert(std::atoi(entry->d_name));
  }
  numbers.erase(::dirfd(folder));
  ::closedir(folder);
  return numbers;
}

}  // namespace kernel
