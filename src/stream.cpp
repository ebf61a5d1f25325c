// L4 io: the steps of stream operations; knows the driver and socket options.
// SPDX-License-Identifier: MIT
#include <ringlet/stream.hpp>

#include <cerrno>
#include <string>

#include <sys/socket.h>

namespace ringlet {

end_of_stream::end_of_stream(std::size_t got, std::size_t wanted)
    : std::runtime_error("the stream ended after " + std::to_string(got) + " of " + std::to_string(wanted) + " bytes") {
}

namespace detail {
static_assert(msg_wait_all == MSG_WAITALL && msg_no_signal == MSG_NOSIGNAL);

void stream_op::complete(int result, buffer*, bool) noexcept {
  if (end_or_go_on(result)) socket_->give_up(direction_);
}

// Why: what is large is in the cache now, and will not be when the ring comes to it.
bool whole_transfer::sent_at_once() noexcept {
  const bool outgoing = request_.code == io_code::send || request_.code == io_code::write;
  if (!outgoing) return false;
  const int sent = this_driver().try_now(request_);
  const bool not_now = sent == -EAGAIN || is_interruption(sent);
  if (not_now || more_to_do(sent)) return false;
  end_with(sent);
  finish();
  return true;
}

bool whole_transfer::more_to_do(int result) noexcept {
  if (result <= 0) return false;
  request_.address = static_cast<const std::byte*>(request_.address) + result;
  if (done_ != nullptr) *done_ = transferred();
  const std::size_t left = size_ - transferred();
  request_.length = request_length(left);
  return left > 0;
}

void whole_transfer::check_end() const {
  take_result();
  if (transferred() < size_) throw end_of_stream(transferred(), size_);
}

shutdown_awaiter::shutdown_awaiter(socket& s) noexcept
    : stream_op(s, direction::out, io_request{io_code::shutdown, s.fd(), nullptr, SHUT_WR}) {}

bool shutdown_awaiter::peer_has_gone() const noexcept {
  return result() == -ENOTCONN;
}

std::error_code shutdown_awaiter::await_error() const noexcept {
  return peer_has_gone() ? std::error_code() : stream_op::await_error();
}

void shutdown_awaiter::await_resume() const {
  if (!peer_has_gone()) take_result();
}

}  // namespace detail

socket_stream::socket_stream(unique_fd fd) : socket_(std::move(fd)) {}

detail::shutdown_awaiter socket_stream::shutdown_send() noexcept {
  return detail::shutdown_awaiter(*socket_);
}

detail::socket::close_awaiter socket_stream::close() noexcept {
  return detail::socket::close_awaiter(socket_.share());
}

void socket_stream::reset_on_close() noexcept {
  const linger at_once{1, 0};
  // Nothing is lost if it fails: then the connection ends in the ordinary way.
  ::setsockopt(socket_->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace ringlet
