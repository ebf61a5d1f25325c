// L5 services: accepts connections, one by one or all that come; knows sockets.
// SPDX-License-Identifier: MIT
#include <ringlet/tcp_listener.hpp>

#include <cerrno>
#include <new>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

namespace ringlet {

namespace detail {
namespace {

constexpr std::size_t most_accepted = 64;

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

/// The accepts of a listener that take every connection there is. What no task has taken yet waits here, up to a limit.
class acceptor final : public inflow {
 public:
  explicit acceptor(socket& listener);
  ~acceptor() override { drop_all(); }

  void complete(int result, buffer* filled, bool more) noexcept override;

  /// A connection. errors: os_error. Only when has_something().
  unique_fd take();

 private:
  void store(int fd) noexcept;
  void drop_all() noexcept override;
  void note_failure(int error) noexcept override;
  int pass_on(const io_request&) noexcept override;
  void prepare() noexcept override;
  int pop() noexcept;

  std::vector<int> accepted_;  // from first_ on, which held_ counts; a burst may need more room than was reserved
  std::size_t first_ = 0;
  bool watching_ = false;  // asks for readiness first, for the listener is one that does not wait
};

acceptor::acceptor(socket& listener) : inflow(listener, "accept fd", {io_code::accept_many, listener.fd()}) {
  accepted_.reserve(most_accepted);
}

void acceptor::prepare() noexcept {
  const bool all_at_once = this_driver().multishot();
  request_.code = watching_ ? io_code::poll : all_at_once ? io_code::accept_many : io_code::accept;
  request_.flags = watching_ ? POLLIN : SOCK_CLOEXEC;
}

void acceptor::complete(int result, buffer*, bool more) noexcept {
  if (!more) disarm();
  if (result < 0) {
    take_failure(result);
  } else if (request_.code == io_code::poll) {
    watching_ = false;
  } else {
    store(result);
  }
  end_completion();
}

void acceptor::store(int fd) noexcept {
  try {
    accepted_.push_back(fd);
    ++held_;
  } catch (const std::bad_alloc&) {
    close_fd(fd);
    failure_ = ENOMEM;
  }
  if (held_ >= most_accepted) pause();
}

void acceptor::note_failure(int error) noexcept {
  if (error == EAGAIN) {
    watching_ = true;
  } else if (!is_of_the_connection(error)) {
    failure_ = error;
  }
}

int acceptor::pop() noexcept {
  const int fd = accepted_[first_++];
  --held_;
  const bool time_to_move_up = held_ == 0 || first_ == most_accepted;
  if (time_to_move_up) {
    accepted_.erase(accepted_.begin(), accepted_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return fd;
}

unique_fd acceptor::take() {
  if (held_ != 0) return unique_fd(pop());
  throw make_error(std::exchange(failure_, 0));
}

int acceptor::pass_on(const io_request&) noexcept {
  if (held_ != 0) return pop();
  return failure_ != 0 ? -std::exchange(failure_, 0) : -EAGAIN;
}

void acceptor::drop_all() noexcept {
  while (held_ != 0) close_fd(pop());
}

acceptor& source(inflow& flow) noexcept {
  return static_cast<acceptor&>(flow);
}

}  // namespace

accept_op::accept_op(socket& listener) noexcept
    : stream_op(listener, direction::in, {io_code::accept, listener.fd(), nullptr, 0, SOCK_CLOEXEC}) {}

// Done, but nobody took it: the awaiter lost a race, or died of another exception.
accept_op::~accept_op() {
  if (succeeded() && !taken_) close_fd(result());
}

unique_fd accept_op::take() {
  unique_fd accepted(take_result());
  taken_ = true;
  return accepted;
}

bool accept_op::is_transient(int result) const noexcept {
  return is_of_the_connection(-result) || stream_op::is_transient(result);
}

std::optional<tcp_stream> next_connection::await_resume() {
  if (listener_closed()) return std::nullopt;
  finish();
  return tcp_stream(source(flow()).take());
}

}  // namespace detail

incoming_connections::~incoming_connections() {
  if (listener_ && listener_->input() != nullptr) listener_->input()->pause();
}

detail::next_connection incoming_connections::next() {
  return detail::next_connection(listener_->input_as<detail::acceptor>());
}

}  // namespace ringlet
