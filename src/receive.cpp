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

  /// What came in. errors: os_error. Only when has_something().
  chunk take();

 private:
  bool has_something() const noexcept override;
  bool store(int result, buffer* filled) noexcept override;
  void drop_all() noexcept override;
  void note_failure(int error) noexcept override;
  int pass_on(const io_request& to) noexcept override;
  void prepare() noexcept override;

  void watch() noexcept;
  bool note_readable() noexcept;
  bool read_pipe() noexcept;
  bool read();
  void note_read(std::uint32_t size) noexcept;

  intrusive_queue<buffer, &buffer::next> queue_;
  std::uint32_t queued_ = 0;
  int failure_ = 0;               // errno that nobody has been told of yet; 0: none
  bool at_end_ = false;           // the peer sends nothing more
  bool readable_ = false;         // when watching: something can be read
  bool watching_ = false;         // asks for readiness only
  std::uint8_t small_reads_ = 0;  // in a row, when watching
};

bool receiver::has_something() const noexcept {
  return !queue_.empty() || readable_ || at_end_ || failure_ != 0;
}

// --- The kernel's side

// Why the driver is asked each time: the stream may have come from a loop that has ended.
void receiver::prepare() noexcept {
  const bool must_watch = owner().is_pipe() || !this_driver().multishot();
  if (must_watch && !watching_) watch();
  request_.code = watching_ ? io_code::poll : io_code::receive_many;
  request_.flags = watching_ ? POLLIN : 0;
}

bool receiver::store(int, buffer* filled) noexcept {
  if (request_.code == io_code::poll) return note_readable();
  if (filled == nullptr) {
    at_end_ = true;
  } else {
    queue_.push_back(*filled);
    ++queued_;
    const bool falls_behind = queued_ >= many_queued && !watching_;
    if (falls_behind) {
      watch();
      pause();
    }
  }
  return true;
}

bool receiver::note_readable() noexcept {
  if (owner().is_pipe()) return awaited() && read_pipe();
  readable_ = true;
  return true;
}

// Why at once: a pipe may have other readers, and a task that has gone on cannot wait again when they were faster.
bool receiver::read_pipe() noexcept {
  try {
    return read();
  } catch (const std::bad_alloc&) {
    failure_ = ENOMEM;
    return true;
  }
}

void receiver::note_failure(int error) noexcept {
  if (error == ENOBUFS || error == EAGAIN) return watch();
  failure_ = error;
}

void receiver::watch() noexcept {
  watching_ = true;
  small_reads_ = 0;
}

void receiver::drop_all() noexcept {
  while (buffer* b = queue_.pop_front()) b->home->give_back(*b);
  queued_ = 0;
}

// --- The tasks' side

chunk receiver::take() {
  const bool found_nothing = queue_.empty() && readable_ && !read();
  if (found_nothing) failure_ = EAGAIN;
  if (buffer* first = queue_.pop_front()) {
    --queued_;
    return chunk(*first);
  }
  if (failure_ != 0) throw make_error(std::exchange(failure_, 0));
  return chunk();
}

// False: there was nothing, after all.
// Why for a socket only when the task goes on: a large buffer that is read, used and given back at once stays in the
// cache.
bool receiver::read() {
  buffer& large = this_driver().spare_buffers().take();
  const io_code code = owner().is_pipe() ? io_code::read : io_code::receive;
  const int result = this_driver().try_now({code, request_.fd, large.data, large_buffers::capacity});
  const bool nothing_there = result == -EAGAIN || is_interruption(result);
  readable_ = false;
  if (result > 0) {
    large.size = static_cast<std::uint32_t>(result);
    queue_.push_back(large);
    ++queued_;
    note_read(large.size);
  } else {
    large.home->give_back(large);
    at_end_ = result == 0;
    if (!nothing_there) failure_ = -result;
  }
  return !nothing_there;
}

void receiver::note_read(std::uint32_t size) noexcept {
  small_reads_ = size < small_read ? static_cast<std::uint8_t>(small_reads_ + 1) : std::uint8_t{0};
  if (small_reads_ >= many_small_reads) watching_ = false;
}

int receiver::pass_on(const io_request& to) noexcept {
  readable_ = false;
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
    queue_.pop_front();
    --queued_;
    first.home->give_back(first);
  }
  return static_cast<int>(to.length - left);
}

receiver& source(inflow& flow) noexcept {
  return static_cast<receiver&>(flow);
}

}  // namespace

chunk receive_awaiter::await_resume() {
  finish();
  return source(flow()).take();
}

}  // namespace ringlet::detail

namespace ringlet {

detail::receive_awaiter socket_stream::receive() {
  return detail::receive_awaiter(socket_->input_as<detail::receiver>());
}

}  // namespace ringlet
