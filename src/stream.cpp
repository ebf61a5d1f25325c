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
namespace {

// flags: for sockets.
io_request transfer_request(const socket& s, direction way, const void* buffer, std::size_t size, int flags) noexcept {
  const bool in = way == direction::in;
  if (s.is_pipe()) {
    return {in ? io_code::read : io_code::write, s.fd(), buffer, request_length(size), own_position, 0};
  }
  const int all_flags = in ? flags : flags | MSG_NOSIGNAL;
  return {in ? io_code::receive : io_code::send, s.fd(), buffer, request_length(size), 0,
          static_cast<std::uint32_t>(all_flags)};
}

}  // namespace

void stream_op::complete(int result, buffer* filled, bool more) noexcept {
  io_op::complete(result, filled, more);
  if (!in_flight()) socket_->give_up(direction_);
}

stream_transfer::stream_transfer(socket& s, direction way, const void* buffer, std::size_t size) noexcept
    : stream_op(s, way, transfer_request(s, way, buffer, size, 0)) {}

bool stream_transfer::await_ready() noexcept {
  const bool nothing_to_do = request_.length == 0 && !target().closed();
  return (nothing_to_do && !cancel_requested()) || stream_op::await_ready();
}

whole_transfer::whole_transfer(socket& s, direction way, const void* buffer, std::size_t size,
                               std::size_t* done) noexcept
    : stream_op(s, way, transfer_request(s, way, buffer, size, MSG_WAITALL)),
      buffer_(static_cast<const std::byte*>(buffer)),
      size_(size),
      done_(done) {
  const bool one_can_do = done == nullptr && request_.length == size;
  ask_below(one_can_do ? request_.length : any_result);
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
  transferred_ += static_cast<std::size_t>(result);
  if (done_ != nullptr) *done_ = transferred_;
  const std::size_t left = size_ - transferred_;
  request_.address = buffer_ + transferred_;
  request_.length = request_length(left);
  return left > 0;
}

void whole_transfer::check_end() const {
  take_result();
  if (transferred_ < size_) throw end_of_stream(transferred_, size_);
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

using detail::direction;

socket_stream::socket_stream(unique_fd fd) : socket_(std::move(fd)) {}

detail::stream_transfer socket_stream::read_some(std::span<std::byte> to) noexcept {
  return {*socket_, direction::in, to.data(), to.size()};
}

detail::whole_transfer socket_stream::read_exactly(std::span<std::byte> to) noexcept {
  return {*socket_, direction::in, to.data(), to.size(), nullptr};
}

detail::whole_transfer socket_stream::read_exactly(std::span<std::byte> to, std::size_t& got) noexcept {
  return {*socket_, direction::in, to.data(), to.size(), &got};
}

detail::stream_transfer socket_stream::write_some(std::span<const std::byte> from) noexcept {
  return {*socket_, direction::out, from.data(), from.size()};
}

detail::whole_transfer socket_stream::write_all(std::span<const std::byte> from) noexcept {
  return {*socket_, direction::out, from.data(), from.size(), nullptr};
}

detail::whole_transfer socket_stream::write_all(std::string_view from) noexcept {
  return {*socket_, direction::out, from.data(), from.size(), nullptr};
}

detail::whole_transfer socket_stream::write_all(std::span<const std::byte> from, std::size_t& sent) noexcept {
  return {*socket_, direction::out, from.data(), from.size(), &sent};
}

detail::whole_transfer socket_stream::write_all(std::string_view from, std::size_t& sent) noexcept {
  return {*socket_, direction::out, from.data(), from.size(), &sent};
}

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
