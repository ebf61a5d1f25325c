// L5 services: copy, which moves bytes from one stream to another; knows what both have for members, and splicing.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/chunk.hpp>
#include <ringlet/detail/added_at_end.hpp>
#include <ringlet/detail/splice.hpp>
#include <ringlet/task.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace ringlet {

namespace detail {

template <class Stream>
concept writes_bytes = requires(Stream& to, std::span<const std::byte> from, std::size_t& sent) {
  { to.write_all(from, sent) } -> awaitable;
};

template <class Stream>
concept reads_bytes = requires(Stream& from, std::span<std::byte> to) {
  { from.read_some(to) } -> awaitable;
};

/// Streams that give what has come in where the kernel put it, so that a copy that waits holds no memory.
template <class Stream>
concept gives_chunks = requires(Stream& from) {
  { from.receive() } -> awaitable;
};

/// Streams that are a descriptor, of which the kernel can know.
template <class Stream>
concept has_socket = requires(Stream& s) {
  { s.observe() } -> std::same_as<const ref<socket>&>;
};

/// Writes all of it; however that ends, what was written is counted.
template <class To>
task<> pass_on(std::span<const std::byte> piece, To& to, std::uint64_t& moved) {
  std::size_t sent = 0;
  const added_at_end counted(moved, sent);
  co_await to.write_all(piece, sent);
}

template <class From, class To>
task<> copy_chunks(From& from, To& to, std::uint64_t& moved) {
  while (const chunk received = co_await from.receive()) co_await pass_on(received.bytes(), to, moved);
}

// Why chunks at the end: they tell the end of `from` from what the kernel cannot splice.
template <has_socket From, has_socket To>
task<> copy_in_kernel(From& from, To& to, std::uint64_t& moved) {
  if (can_splice(*from.observe(), *to.observe())) co_await splice_into(*from.observe(), *to.observe(), moved);
  co_await copy_chunks(from, to, moved);
}

template <class From, class To>
task<> copy_through_buffer(From& from, To& to, std::uint64_t& moved) {
  std::vector<std::byte> buffer(64 * 1024);
  while (const std::size_t count = co_await from.read_some(buffer)) {
    co_await pass_on(std::span(buffer).first(count), to, moved);
  }
}

}  // namespace detail

/// Writes to `to` whatever comes from `from`, in order, until that ends; then both are as open as before. `from` is
/// anything with receive() or read_some(), `to` with write_all(bytes, sent). `moved` says at all times how much `to`
/// has taken. Into a pipe, and from a connection or another pipe, the bytes never leave the kernel, unless `from` was
/// read with receive() before. units: bytes. errors: what either throws; os_error, "splice fd 5 to fd 6: broken pipe".
/// cancel, and errors of `to`: what was read by then, 64 KiB at most, and is not counted in `moved`, is lost; nothing
/// is where the bytes stay in the kernel. lifetime: both streams and `moved` outlive the await, in which
/// nobody reads `from` by another descriptor.
template <class From, detail::writes_bytes To>
  requires(detail::gives_chunks<From> || detail::reads_bytes<From>)
task<> copy(From& from, To& to, std::uint64_t& moved) {
  moved = 0;
  if constexpr (detail::has_socket<From> && detail::has_socket<To>) {
    return detail::copy_in_kernel(from, to, moved);
  } else if constexpr (detail::gives_chunks<From>) {
    return detail::copy_chunks(from, to, moved);
  } else {
    return detail::copy_through_buffer(from, to, moved);
  }
}

/// The same; gives how much it was in the end.
template <class From, detail::writes_bytes To>
  requires(detail::gives_chunks<From> || detail::reads_bytes<From>)
task<std::uint64_t> copy(From& from, To& to) {
  std::uint64_t moved = 0;
  co_await copy(from, to, moved);
  co_return moved;
}

}  // namespace ringlet
