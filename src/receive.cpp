// L4 io: receiving without a buffer of one's own, in small buffers of the driver or one large one; knows the driver.
// SPDX-License-Identifier: MIT
#include <ringlet/stream.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include <poll.h>

namespace ringlet::detail {
namespace {

// A reader that is so far behind takes more at a time, and the others need the small buffers.
constexpr std::uint32_t many_queued = 4;

// What is shorter than a small buffer, so often in a row, is better received in small buffers.
constexpr std::uint32_t small_read = 4096;
constexpr std::uint8_t many_small_reads = 8;

/// The receives of a socket for which no task brings a buffer: the kernel takes one of the driver's when data comes.
/// Where a lot comes, or the driver has none left, it asks for readiness, and whoever reads brings a large buffer.
class receiver final : public inflow {
 public:
  explicit receiver(socket& s) noexcept : inflow(s, "receive fd", {io_code::receive_many, s.fd()}) {}
  ~receiver() override { drop_all(); }

  void complete(int result, buffer* filled, bool more) noexcept override;

  /// What came in. errors: os_error. Only when has_something().
  chunk take();

 private:
  void drop_all() noexcept override;
  void note_failure(int error) noexcept override;
  int pass_on(const io_request& to) noexcept override;
  void prepare() noexcept override;

  void store(buffer& filled) noexcept;
  void push(buffer& b) noexcept;
  buffer* pop() noexcept;
  void note_end() noexcept;
  void watch() noexcept;
  void look() noexcept override;
  void take_in(buffer& large, int result) noexcept;
  void note_read(std::uint32_t size) noexcept;

  // What there is to take, in this order; held_ counts it.
  buffer_list queue_;
  bool at_end_ = false;  // the peer sends nothing more

  bool watching_ = false;         // asks for readiness only
  std::uint8_t small_reads_ = 0;  // in a row, when watching
};

// --- The kernel's side

// Why the driver is asked each time: the stream may have come from a loop that has ended.
void receiver::prepare() noexcept {
  const bool must_watch = owner().is_pipe() || !this_driver().multishot();
  if (must_watch && !watching_) watch();
  request_.code = watching_ ? io_code::poll : io_code::receive_many;
  request_.flags = watching_ ? POLLIN : 0;
}

void receiver::complete(int result, buffer* filled, bool more) noexcept {
  if (!more) disarm();
  if (filled != nullptr) [[likely]] {
    store(*filled);
  } else if (result < 0) {
    take_failure(result);
  } else if (request_.code == io_code::poll) {
    must_look_ = true;  // it may be less than a byte, an urgent one, or somebody else's by the time that we look
  } else {
    note_end();
  }
  end_completion();
}

void receiver::store(buffer& filled) noexcept {
  push(filled);
  const bool falls_behind = held_ >= many_queued && !watching_;
  if (falls_behind) {
    watch();
    pause();
  }
}

void receiver::push(buffer& b) noexcept {
  queue_.push_back(b);
  ++held_;
}

buffer* receiver::pop() noexcept {
  buffer* const first = queue_.pop_front();
  if (first != nullptr) --held_;
  return first;
}

void receiver::note_end() noexcept {
  if (!std::exchange(at_end_, true)) ++held_;
}

// ENOBUFS: all small buffers are on loan.
void receiver::note_failure(int error) noexcept {
  if (error == ENOBUFS || error == EAGAIN) return watch();
  failure_ = error;
}

void receiver::watch() noexcept {
  watching_ = true;
  small_reads_ = 0;
}

void receiver::drop_all() noexcept {
  while (buffer* b = pop()) b->home->give_back(*b);
}

// --- The tasks' side

chunk receiver::take() {
  if (buffer* first = pop()) return chunk(*first);
  if (failure_ != 0) throw make_error(std::exchange(failure_, 0));
  return chunk();
}

// Into a large buffer that is used and given back at once, so that it stays in the cache.
void receiver::look() noexcept {
  try {
    buffer& large = this_driver().spare_buffers().take();
    const io_code code = owner().is_pipe() ? io_code::read : io_code::receive;
    take_in(large, this_driver().try_now({code, request_.fd, large.data, large_buffers::capacity}));
  } catch (const std::bad_alloc&) {
    failure_ = ENOMEM;
  }
}

void receiver::take_in(buffer& large, int result) noexcept {
  if (result > 0) {
    large.size = static_cast<std::uint32_t>(result);
    push(large);
    return note_read(large.size);
  }
  large.home->give_back(large);
  const bool nothing_there = result == -EAGAIN || is_interruption(result);
  if (result == 0) {
    note_end();
  } else if (!nothing_there) {
    failure_ = -result;
  }
}

void receiver::note_read(std::uint32_t size) noexcept {
  small_reads_ = size < small_read ? static_cast<std::uint8_t>(small_reads_ + 1) : std::uint8_t{0};
  if (small_reads_ >= many_small_reads) watching_ = false;
}

int receiver::pass_on(const io_request& to) noexcept {
  must_look_ = false;
  if (queue_.empty() && failure_ != 0) return -std::exchange(failure_, 0);
  if (queue_.empty()) return at_end_ ? 0 : -EAGAIN;
  auto* at = static_cast<std::byte*>(const_cast<void*>(to.address));
  std::uint32_t left = to.length;
  while (left > 0 && !queue_.empty()) {
    buffer& first = *queue_.front();
    const std::uint32_t count = std::min(left, first.size);
    std::memcpy(at, first.data, count);
    first.data += count;
    first.size -= count;
    at += count;
    left -= count;
    if (first.size > 0) break;
    pop();
    first.home->give_back(first);
  }
  return static_cast<int>(to.length - left);
}

receiver& source(inflow& flow) noexcept {
  return static_cast<receiver&>(flow);
}

}  // namespace

inflow& make_receiver(socket& s) {
  return s.input_as<receiver>();
}

chunk receive_awaiter::await_resume() {
  finish();
  return source(flow()).take();
}

}  // namespace ringlet::detail
