// L5 services: line_reader, which cuts a stream into lines; knows only read_some().
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/task.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace ringlet {

/// A line longer than its reader allows. The next next() goes on behind it.
class line_too_long : public std::runtime_error {
 public:
  /// limit: units: bytes.
  explicit line_too_long(std::size_t limit);
};

namespace detail {

/// What a line_reader has read and not yet given out.
class line_buffer {
 public:
  explicit line_buffer(std::size_t max_line) noexcept : max_line_(max_line) {}

  /// The next line, if it is there; at the end also one without a newline. errors: line_too_long.
  std::optional<std::string_view> take_line();

  /// Drops what there is up to and with the next newline. True: found it.
  bool skip_to_newline() noexcept;

  /// A line that can be given out, or an error that can be thrown, without reading more.
  bool has_line() const noexcept;

  bool terminated() const noexcept { return terminated_; }
  bool empty() const noexcept { return begin_ == end_; }
  bool at_end() const noexcept { return at_end_; }
  bool skipping() const noexcept { return skipping_; }
  std::size_t skipped() const noexcept { return skipped_; }

  /// Where to read to, and how much was read; none is the end of the stream.
  std::span<std::byte> space();
  void filled(std::size_t count) noexcept;

 private:
  std::size_t longest_with_newline() const noexcept;
  std::string_view contents() const noexcept;
  std::string_view take(std::size_t length, std::size_t with_newline) noexcept;

  std::vector<char> bytes_;
  std::size_t max_line_;
  std::size_t begin_ = 0;  // Invariant: bytes_[begin_, end_) is read and not given out
  std::size_t end_ = 0;
  std::size_t scanned_ = 0;  // no newline before begin_ + scanned_
  std::size_t skipped_ = 0;  // bytes dropped of the line that is skipped
  bool skipping_ = false;    // a line was too long, and its newline has not come yet
  bool terminated_ = true;   // the line given out last had a newline
  bool at_end_ = false;
};

}  // namespace detail

/// Cuts what a stream gives into lines ending in "\n"; what follows the last one is a line too.
/// threads: the loop's, one task at a time. lifetime: the stream outlives it. Memory: 4 KiB, and more for longer lines.
template <class Stream>
class line_reader {
 public:
  /// max_line: without the newline. units: bytes.
  explicit line_reader(Stream& stream, std::size_t max_line = 64 * 1024) noexcept
      : stream_(&stream), buffer_(max_line) {}

  /// The next line without its newline; nullopt at the end. lifetime: of the view, until the next call of any member.
  /// errors: line_too_long as soon as the limit is passed; the stream's. cancel: safe, nothing read is lost.
  task<std::optional<std::string_view>> next() {
    if (buffer_.skipping()) co_await skip_line();
    while (!buffer_.has_line() && !buffer_.at_end()) co_await fill();
    co_return buffer_.take_line();
  }

  /// Whether the line that next() gave ended with a newline; the last one of a stream need not. It is for the reader's
  /// user to say whether a line without one counts, or was cut off.
  bool terminated() const noexcept { return buffer_.terminated(); }

  /// Waits until there is something of a line, and says whether there is: false at the end. errors: the stream's.
  /// cancel: safe.
  task<bool> wait() {
    while (buffer_.empty() && !buffer_.at_end()) co_await fill();
    co_return !buffer_.empty();
  }

  /// After line_too_long: drops that line. False: it has more than `limit` bytes, its newline not counted; how many
  /// of them are dropped by then is not said. errors: the stream's. cancel: safe.
  task<bool> skip_line(std::size_t limit = static_cast<std::size_t>(-1)) {
    if (!buffer_.skipping()) co_return true;
    while (!buffer_.skip_to_newline() && !buffer_.at_end() && buffer_.skipped() <= limit) co_await fill();
    co_return buffer_.skipped() <= limit;
  }

  /// True when next() would not have to read.
  bool has_line() const noexcept { return buffer_.has_line(); }

 private:
  task<> fill() { buffer_.filled(co_await stream_->read_some(buffer_.space())); }

  Stream* stream_;
  detail::line_buffer buffer_;
};

}  // namespace ringlet
