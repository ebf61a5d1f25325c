// Example: what std::istream and std::ostream need to read and write a stream, in a fiber.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <streambuf>

/// A Stream has plain functions, which may await: size_t read_some(span<byte>), 0 at the end, and
/// write_all(span<const byte>). Output is sent when there is much of it, by std::flush, and before input is waited for.
/// errors: of the Stream. A std::istream or std::ostream swallows them, and `cancelled` with them, until it is told
/// `.exceptions(std::ios::badbit)`. lifetime: the Stream's, and what was not flushed is dropped.
template <class Stream>
class fiber_streambuf final : public std::streambuf {
 public:
  explicit fiber_streambuf(Stream& stream) : stream_(stream) { setp(output_.data(), output_.data() + output_.size()); }

 private:
  int_type underflow() override {
    send();  // Why: the peer may wait for it, and until then sends nothing
    const std::size_t count = stream_.read_some(std::as_writable_bytes(std::span(input_)));
    setg(input_.data(), input_.data(), input_.data() + count);
    return count == 0 ? traits_type::eof() : traits_type::to_int_type(input_.front());
  }

  int_type overflow(int_type next) override {
    send();
    if (!traits_type::eq_int_type(next, traits_type::eof())) sputc(traits_type::to_char_type(next));
    return traits_type::not_eof(next);
  }

  int sync() override {
    send();
    return 0;
  }

  void send() {
    const std::span<const char> written(pbase(), pptr());
    setp(output_.data(), output_.data() + output_.size());
    if (!written.empty()) stream_.write_all(std::as_bytes(written));
  }

  Stream& stream_;
  std::array<char, 4096> input_;
  std::array<char, 4096> output_;
};
