// L5 services: copy, which moves bytes from one stream to another; knows only what both have for members.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/chunk.hpp>
#include <ringlet/detail/added_at_end.hpp>
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
/// has taken. units: bytes. errors: what either throws. cancel: what was read by then, 64 KiB at most, and is not
/// counted in `moved`, is lost. lifetime: both streams and `moved` outlive the await.
template <class From, detail::writes_bytes To>
  requires(detail::gives_chunks<From> || detail::reads_bytes<From>)
task<> copy(From& from, To& to, std::uint64_t& moved) {
  moved = 0;
  if constexpr (detail::gives_chunks<From>) {
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
