// L4 io: receiving without a buffer of one's own, in small buffers of the driver or one large one; knows the driver.
// SPDX-License-Identifier: MIT
#include <ringlet/stream.hpp>

#include <algorithm>
#include <cerrno>
#include <coroutine>
#include <cstring>
#include <exception>
#include <new>

#include <poll.h>

namespace ringlet::detail {
namespace {

// A reader that is so far behind takes more at a time, and the others need the small buffers.
constexpr std::uint32_t many_queued = 4;

// What is shorter than a small buffer, so often in a row, is better received in small buffers.
constexpr std::uint32_t small_read = 4096;
constexpr std::uint8_t many_small_reads = 8;

// Kernel: a single arrival is reported without a look at the socket, as if it were an urgent byte, too.
constexpr std::uint32_t all_that_comes = POLLIN | POLLPRI;

/// Runs in place of a task that was woken, until it knows where that one goes on. An endless coroutine, in no task.
class detour {
 public:
  struct promise_type {
    detour get_return_object() noexcept { return detour(handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  using handle = std::coroutine_handle<promise_type>;

  detour(const detour&) = delete;
  detour& operator=(const detour&) = delete;
  ~detour() { frame_.destroy(); }

  std::coroutine_handle<> entrance() const noexcept { return frame_; }

 private:
  explicit detour(handle frame) noexcept : frame_(frame) {}

  handle frame_;
};

/// The receives of a socket for which no task brings a buffer: the kernel takes one of the driver's when data comes.
/// Where a lot comes, or the driver has none left, it asks for readiness, and whoever reads brings a large buffer.
class receiver final : public inflow {
 public:
  explicit receiver(socket& s)
      : inflow(s, "receive fd", {io_code::receive_many, s.fd()}), reading_(read_in_passing()) {}
  ~receiver() override { drop_all(); }

  /// What came in. errors: os_error. Only when has_something().
  chunk take();

 private:
  /// Where a detour leads.
  struct exit {
    receiver& from;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept { return from.go_on(); }
    void await_resume() const noexcept {}
  };

  bool has_something() noexcept override;
  bool store(int result, buffer* filled) noexcept override;
  void drop_all() noexcept override;
  void note_failure(int error) noexcept override;
  int pass_on(const io_request& to) noexcept override;
  void prepare() noexcept override;

  void watch() noexcept;
  bool note_readable(int events) noexcept;
  void keep(buffer& filled) noexcept;
  detour read_in_passing();
  [[gnu::noinline]] void read() noexcept;  // Why: most find something, or have nothing to read
  void read_into(buffer& large) noexcept;
  void keep_read(buffer& large, std::uint32_t size) noexcept;
  bool was_all(std::uint32_t size) const noexcept;
  void note_read(std::uint32_t size) noexcept;

  intrusive_queue<buffer, &buffer::next> queue_;
  std::uint32_t queued_ = 0;
  int failure_ = 0;                  // errno that nobody has been told of yet; 0: none
  bool at_end_ = false;              // the peer sends nothing more
  bool watching_ = false;            // asks for readiness only
  bool readable_ = false;            // when watching: there may be something to read
  bool only_readable_ = false;       // when watching: nothing was reported before which a read would end
  std::uint8_t unread_reports_ = 0;  // of readiness, in a row
  std::uint8_t small_reads_ = 0;     // in a row, when watching
  detour reading_;
};

bool receiver::has_something() noexcept {
  if (queue_.empty() && readable_) read();
  return !queue_.empty() || at_end_ || failure_ != 0;
}

// --- The kernel's side

// Why the driver is asked each time: the stream may have come from a loop that has ended.
void receiver::prepare() noexcept {
  const bool multishot = this_driver().multishot() && !owner().is_pipe();
  if (!multishot && !watching_) watch();
  request_.code = !watching_ ? io_code::receive_many : multishot ? io_code::poll_many : io_code::poll;
  request_.flags = watching_ ? all_that_comes : 0;
  readable_ = false;  // Why: the request will tell, and what it brings must not be overtaken
}

bool receiver::store(int result, buffer* filled) noexcept {
  if (request_.code != io_code::receive_many) return note_readable(result);
  if (filled != nullptr) {
    keep(*filled);
  } else {
    at_end_ = true;
  }
  return true;
}

void receiver::keep(buffer& filled) noexcept {
  queue_.push_back(filled);
  ++queued_;
  const bool falls_behind = queued_ >= many_queued && !watching_;
  if (!falls_behind) return;
  watch();
  pause();
}

// Why not read at once: a large buffer that is read, used and given back without a break stays in the cache. And what
// is reported may have been read before, so that the task has to look before it goes on.
bool receiver::note_readable(int events) noexcept {
  if (!watching_) return false;  // the poll is on its way out, and the receive that follows it will tell
  readable_ = true;
  only_readable_ = events == POLLIN;
  if (awaited()) {
    divert(reading_.entrance());
  } else if (++unread_reports_ == many_queued && armed()) {
    pause();
  }
  return true;
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
  if (buffer* first = queue_.pop_front()) {
    --queued_;
    return chunk(*first);
  }
  if (failure_ != 0) throw make_error(std::exchange(failure_, 0));
  return chunk();
}

detour receiver::read_in_passing() {
  for (;;) co_await exit{*this};
}

void receiver::read() noexcept {
  unread_reports_ = 0;
  try {
    read_into(this_driver().spare_buffers().take());
  } catch (const std::bad_alloc&) {
    failure_ = ENOMEM;
  }
}

void receiver::read_into(buffer& large) noexcept {
  const io_code code = owner().is_pipe() ? io_code::read : io_code::receive;
  int result = 0;
  do {
    result = this_driver().try_now({code, request_.fd, large.data, large_buffers::capacity});
  } while (is_interruption(result));
  if (result > 0) return keep_read(large, static_cast<std::uint32_t>(result));
  large.home->give_back(large);
  at_end_ = result == 0;
  readable_ = result < 0 && result != -EAGAIN;  // Why: behind an error there may be an end
  if (readable_) failure_ = -result;
}

void receiver::keep_read(buffer& large, std::uint32_t size) noexcept {
  large.size = size;
  queue_.push_back(large);
  ++queued_;
  readable_ = !was_all(size);
  note_read(size);
}

// Then what comes from now on will be reported. Kernel: a read from TCP goes on as far as there is room, but not beyond
// an urgent byte; of other sockets, a descriptor that is sent along ends it.
bool receiver::was_all(std::uint32_t size) const noexcept {
  return owner().is_tcp() && only_readable_ && size < large_buffers::capacity;
}

void receiver::note_read(std::uint32_t size) noexcept {
  small_reads_ = size < small_read ? static_cast<std::uint8_t>(small_reads_ + 1) : std::uint8_t{0};
  if (small_reads_ < many_small_reads) return;
  watching_ = false;
  readable_ = false;
  if (armed()) pause();
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
