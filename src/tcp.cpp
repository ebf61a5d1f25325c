// L5 services: makes, binds, connects and accepts TCP sockets; knows socket system calls.
// SPDX-License-Identifier: MIT
#include <ringlet/tcp_listener.hpp>

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace ringlet {
namespace {

unique_fd open_socket(const char* operation, const endpoint& for_address) {
  unique_fd fd(::socket(for_address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw os_error(operation, for_address.to_string(), errno);
  return fd;
}

void set_option(int fd, int level, int option, int value, const char* name) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) throw os_error(name, fd, errno);
}

unique_fd open_client_socket(const endpoint& to) {
  unique_fd fd = open_socket("connect", to);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "setsockopt TCP_NODELAY");
  return fd;
}

// What accept(2) says of Linux: errors of a connection that broke before it was accepted; the next one may be fine.
// Why not EOPNOTSUPP: no connection breaks with that, but a descriptor that is no listener gives it for ever.
bool is_of_the_connection(int error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH: return true;
    default: return false;
  }
}

using name_function = int (*)(int, sockaddr*, socklen_t*);

endpoint name_of(int fd, name_function ask, const char* operation) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (ask(fd, generic, &size) != 0) throw os_error(operation, fd, errno);
  return endpoint(generic, size);
}

}  // namespace

// --- tcp_stream

detail::connect_awaiter tcp_stream::connect(const endpoint& to) {
  return detail::connect_awaiter(to);
}
endpoint tcp_stream::local() const {
  return name_of(fd(), ::getsockname, "getsockname");
}
endpoint tcp_stream::peer() const {
  return name_of(fd(), ::getpeername, "getpeername");
}
void tcp_stream::nodelay(bool on) {
  set_option(fd(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, "setsockopt TCP_NODELAY");
}

namespace detail {

connect_awaiter::connect_awaiter(const endpoint& to) : connect_awaiter(to, socket_owner(open_client_socket(to))) {}

connect_awaiter::connect_awaiter(const endpoint& to, socket_owner s)
    : stream_op(*s, direction::out, {io_code::connect, s->fd(), nullptr, 0, to.size(), 0}),
      to_(to),
      socket_(std::move(s)) {}

bool connect_awaiter::await_ready() noexcept {
  request_.address = to_.data();  // Why here: the awaiter does not move any more
  return stream_op::await_ready();
}

tcp_stream connect_awaiter::await_resume() {
  take_result();
  return tcp_stream(std::move(socket_));
}

os_error connect_awaiter::make_error(int error) const {
  return os_error("connect", to_.to_string(), error);
}

accept_awaiter::accept_awaiter(socket& listener) noexcept
    : stream_op(listener, direction::in, {io_code::accept, listener.fd(), nullptr, 0, 0, SOCK_CLOEXEC}) {}

// Done, but nobody took it: the awaiter lost a race, or died of another exception.
accept_awaiter::~accept_awaiter() {
  if (succeeded() && !taken_) close_fd(result());
}

tcp_stream accept_awaiter::await_resume() {
  unique_fd accepted(take_result());
  taken_ = true;
  return tcp_stream(std::move(accepted));
}

bool accept_awaiter::is_transient(int result) const noexcept {
  return is_of_the_connection(-result) || stream_op::is_transient(result);
}

}  // namespace detail

// --- incoming_connections

namespace detail {
namespace {

constexpr std::size_t most_accepted = 64;

}  // namespace

acceptor::acceptor(socket& listener)
    : inflow(listener, {io_code::accept_many, listener.fd(), nullptr, 0, 0, SOCK_CLOEXEC}) {
  accepted_.reserve(most_accepted);
}

void acceptor::prepare() noexcept {
  const bool all_at_once = this_driver().multishot();
  request_.code = all_at_once ? io_code::accept_many : io_code::accept;
}

void acceptor::store(int fd, buffer*) noexcept {
  accepted_.push_back(fd);
  if (accepted_.size() - first_ >= most_accepted) pause();
}

void acceptor::note_failure(int error) noexcept {
  if (!is_of_the_connection(error) && error != EAGAIN) failure_ = error;
}

int acceptor::pop() noexcept {
  const int fd = accepted_[first_++];
  const bool time_to_move_up = first_ == accepted_.size() || first_ == most_accepted;
  if (time_to_move_up) {
    accepted_.erase(accepted_.begin(), accepted_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return fd;
}

unique_fd acceptor::take() {
  if (!accepted_.empty()) return unique_fd(pop());
  throw make_error(std::exchange(failure_, 0));
}

int acceptor::pass_on(const io_request&) noexcept {
  if (!accepted_.empty()) return pop();
  return failure_ != 0 ? -std::exchange(failure_, 0) : -EAGAIN;
}

void acceptor::drop_all() noexcept {
  while (!accepted_.empty()) close_fd(pop());
}

std::error_code next_connection::await_error() const noexcept {
  const int error = refused() == EBADF ? 0 : refused() != 0 ? refused() : source().failure();
  return std::error_code(error, std::generic_category());
}

std::optional<tcp_stream> next_connection::await_resume() {
  if (refused() == EBADF) return std::nullopt;
  check_end();
  return tcp_stream(source().take());
}

}  // namespace detail

incoming_connections::~incoming_connections() {
  if (listener_ && listener_->input() != nullptr) listener_->input()->pause();
}

// --- tcp_listener

tcp_listener tcp_listener::bind(const endpoint& where, const listen_options& how) {
  unique_fd fd = open_socket("bind", where);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "setsockopt SO_REUSEADDR");
  if (how.reuse_port_) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1, "setsockopt SO_REUSEPORT");
  if (where.is_v6()) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, how.dual_stack_ ? 0 : 1, "setsockopt IPV6_V6ONLY");
  // Accepted connections inherit these, which saves system calls for each.
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, how.nodelay_ ? 1 : 0, "setsockopt TCP_NODELAY");
  if (how.send_buffer_ > 0) set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, how.send_buffer_, "setsockopt SO_SNDBUF");
  const auto size = static_cast<socklen_t>(where.size());
  if (::bind(fd.get(), where.data(), size) != 0) throw os_error("bind", where.to_string(), errno);
  if (::listen(fd.get(), how.backlog_) != 0) throw os_error("listen", where.to_string(), errno);
  return tcp_listener(std::move(fd));
}

endpoint tcp_listener::local() const {
  return name_of(fd(), ::getsockname, "getsockname");
}

}  // namespace ringlet
