// L5 services: the buffer of a line_reader; knows only bytes.
// SPDX-License-Identifier: MIT
#include <ringlet/line_reader.hpp>

#include <algorithm>
#include <cstring>
#include <string>

namespace ringlet {

line_too_long::line_too_long(std::size_t limit)
    : std::runtime_error("a line is longer than " + std::to_string(limit) + " bytes") {}

namespace detail {
namespace {

constexpr std::size_t smallest_buffer = 4096;

}  // namespace

std::string_view line_buffer::contents() const noexcept {
  return {bytes_.data() + begin_, end_ - begin_};
}

std::string_view line_buffer::take(std::size_t length, std::size_t with_newline) noexcept {
  const std::string_view line = contents().substr(0, length);
  begin_ += with_newline;
  scanned_ = 0;
  return line;
}

std::optional<std::string_view> line_buffer::take_line() {
  const std::size_t newline = contents().find('\n', scanned_);
  const std::size_t length = std::min(newline, contents().size());
  if (length > max_line_) {
    skipping_ = true;
    skipped_ = 0;
    throw line_too_long(max_line_);
  }
  terminated_ = newline != std::string_view::npos;
  if (terminated_) return take(length, length + 1);
  if (!at_end_ || empty()) return std::nullopt;
  return take(length, length);
}

bool line_buffer::has_line() const noexcept {
  if (skipping_) return false;
  const std::size_t newline = contents().find('\n', scanned_);
  return newline != std::string_view::npos || contents().size() > max_line_ || (at_end_ && !empty());
}

bool line_buffer::skip_to_newline() noexcept {
  if (!skipping_) return true;
  const std::size_t newline = contents().find('\n');
  const bool found = newline != std::string_view::npos;
  const std::size_t of_the_line = found ? newline : contents().size();
  skipped_ += of_the_line;
  begin_ += of_the_line + (found ? 1 : 0);
  scanned_ = 0;
  skipping_ = !found;
  return found;
}

// With "\r\n". Any number may be the limit, also the largest one.
std::size_t line_buffer::longest_with_newline() const noexcept {
  return std::max(max_line_, max_line_ + 2);
}

std::span<std::byte> line_buffer::space() {
  if (bytes_.empty()) bytes_.resize(smallest_buffer);
  if (begin_ > 0) std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  scanned_ = end_;
  const bool full = end_ == bytes_.size();
  if (full) bytes_.resize(std::min(2 * bytes_.size(), std::max(longest_with_newline(), bytes_.size() + 1)));
  return std::as_writable_bytes(std::span(bytes_)).subspan(end_);
}

void line_buffer::filled(std::size_t count) noexcept {
  end_ += count;
  at_end_ = count == 0;
}

}  // namespace detail
}  // namespace ringlet
