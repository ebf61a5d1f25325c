// L4 io: how bytes go from one end of a memory stream to the other; knows the scheduler and the loop's large buffers.
// SPDX-License-Identifier: MIT
#include <ringlet/memory_stream.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace ringlet {
namespace detail {

/// One direction: the bytes on their way, and at most one transfer that waits at each end.
class memory_pipe : public counted<memory_pipe> {
 public:
  explicit memory_pipe(std::size_t capacity) : capacity_(capacity) { bytes_.reserve(capacity); }
  void last_reference_gone() noexcept { delete this; }

  bool closed(direction way) const noexcept { return ends_[static_cast<std::size_t>(way)].closed; }
  bool in_use(direction way) const noexcept { return ends_[static_cast<std::size_t>(way)].user != nullptr; }

  /// 0, or why this end cannot be used: EBADF after close(), EBUSY while somebody else uses it.
  int refusal(direction way) const noexcept;
  void begin(memory_transfer& transfer) noexcept;
  void give_up(direction way) noexcept { end(way).user = nullptr; }

  /// Nothing more will be written.
  void finish() noexcept;
  void close(direction way) noexcept;

 private:
  struct one_end {
    memory_transfer* user = nullptr;  // null: free
    bool closed = false;
  };

  one_end& end(direction way) noexcept { return ends_[static_cast<std::size_t>(way)]; }
  void end_transfer(direction way, int error) noexcept { std::exchange(end(way).user, nullptr)->end(error); }
  void note_moved(direction way, std::size_t count) noexcept;
  void advance() noexcept;
  bool fill() noexcept;
  bool drain() noexcept;

  std::string bytes_;
  std::size_t capacity_;
  bool finished_ = false;
  one_end ends_[2];  // by direction, as who uses it sees it
};

int memory_pipe::refusal(direction way) const noexcept {
  if (closed(way)) return EBADF;
  return in_use(way) ? EBUSY : 0;
}

void memory_pipe::begin(memory_transfer& transfer) noexcept {
  end(transfer.direction_).user = &transfer;
  advance();
}

void memory_pipe::finish() noexcept {
  finished_ = true;
  advance();
}

void memory_pipe::close(direction way) noexcept {
  end(way).closed = true;
  if (in_use(way)) end_transfer(way, EBADF);
  if (way == direction::in) bytes_.clear();
  if (way == direction::out) finished_ = true;
  advance();
}

// What happens at one end may make something possible at the other, so it goes on until nothing changes.
void memory_pipe::advance() noexcept {
  while (fill() || drain()) {
  }
}

void memory_pipe::note_moved(direction way, std::size_t count) noexcept {
  memory_transfer& transfer = *end(way).user;
  transfer.note_moved(count);
  if (transfer.satisfied()) end_transfer(way, 0);
}

// True when something has changed.
bool memory_pipe::fill() noexcept {
  const memory_transfer* writer = end(direction::out).user;
  if (writer == nullptr) return false;
  const bool nobody_will_read = finished_ || closed(direction::in);
  if (nobody_will_read) {
    end_transfer(direction::out, EPIPE);
    return true;
  }
  const std::size_t count = std::min(writer->left().size(), capacity_ - bytes_.size());
  if (count == 0) return false;
  bytes_.append(reinterpret_cast<const char*>(writer->left().data()), count);
  note_moved(direction::out, count);
  return true;
}

// The same.
bool memory_pipe::drain() noexcept {
  const memory_transfer* reader = end(direction::in).user;
  if (reader == nullptr) return false;
  const std::size_t count = std::min(reader->left().size(), bytes_.size());
  if (count > 0) {
    std::memcpy(const_cast<std::byte*>(reader->left().data()), bytes_.data(), count);
    bytes_.erase(0, count);
    note_moved(direction::in, count);
  } else if (finished_) {
    end_transfer(direction::in, 0);
  }
  return count > 0 || finished_;
}

// --- The awaiters

bool memory_transfer::await_ready() noexcept {
  if (done_ != nullptr) *done_ = 0;
  cancelled_ = cancel_requested();
  if (cancelled_) return true;
  const bool nothing_to_do = buffer_.empty() && !pipe_->closed(direction_);
  if (nothing_to_do) return within_budget();
  error_ = pipe_->refusal(direction_);
  if (error_ != 0) return within_budget();
  in_progress_ = true;
  pipe_->begin(*this);
  return !in_progress_ && within_budget();
}

void memory_transfer::cancel() noexcept {
  cancelled_ = true;
  pipe_->give_up(direction_);
  end(0);
}

void memory_transfer::note_moved(std::size_t count) noexcept {
  moved_ += count;
  if (done_ != nullptr) *done_ = moved_;
}

void memory_transfer::end(int error) noexcept {
  error_ = error;
  in_progress_ = false;
  if (waiter() != nullptr) this_loop().wake(*waiter());
}

std::size_t memory_transfer::take_result() const {
  if (cancelled_) throw cancelled{};
  if (error_ != 0) throw os_error(direction_ == direction::in ? "read" : "write", "memory stream", error_);
  return moved_;
}

wait_text memory_transfer::describe() const noexcept {
  return {direction_ == direction::in ? "read a memory stream" : "write to a memory stream"};
}

void memory_whole::await_resume() const {
  const std::size_t moved = take_result();
  if (moved < size()) throw end_of_stream(moved, size());
}

bool memory_receive::await_ready() {
  space_ = &this_driver().spare_buffers().take();
  lease_ = chunk(*space_);
  set_buffer({space_->data, large_buffers::capacity});
  return memory_transfer::await_ready();
}

chunk memory_receive::await_resume() {
  space_->size = static_cast<std::uint32_t>(take_result());
  if (space_->size == 0) return chunk();
  return std::move(lease_);
}

bool memory_shutdown::await_ready() noexcept {
  cancelled_ = cancel_requested();
  if (cancelled_) return true;
  error_ = out_->refusal(direction::out);
  if (error_ == 0) out_->finish();
  return within_budget();
}

void memory_shutdown::await_resume() const {
  if (cancelled_) throw cancelled{};
  if (error_ != 0) throw os_error("shutdown", "memory stream", error_);
}

bool memory_close::await_ready() noexcept {
  in_->close(direction::in);
  out_->close(direction::out);
  return within_budget();
}

}  // namespace detail

using detail::direction;

memory_stream::memory_stream(detail::ref<detail::memory_pipe> in, detail::ref<detail::memory_pipe> out) noexcept
    : in_(std::move(in)), out_(std::move(out)) {}

memory_stream::memory_stream(memory_stream&&) noexcept = default;

memory_stream& memory_stream::operator=(memory_stream&& other) noexcept {
  std::swap(in_, other.in_);
  std::swap(out_, other.out_);
  return *this;
}

memory_stream::~memory_stream() {
  if (in_) close_now();
}

void memory_stream::close_now() noexcept {
  const bool in_use = in_->in_use(direction::in) || out_->in_use(direction::out);
  RINGLET_CHECK(!in_use, "a memory stream was destroyed while an operation on it was in flight");
  in_->close(direction::in);
  out_->close(direction::out);
}

detail::memory_some memory_stream::read_some(std::span<std::byte> to) noexcept {
  return {*in_, direction::in, to};
}

detail::memory_receive memory_stream::receive() noexcept {
  return detail::memory_receive(*in_);
}

detail::memory_whole memory_stream::read_exactly(std::span<std::byte> to) noexcept {
  return {*in_, direction::in, to, nullptr};
}

detail::memory_whole memory_stream::read_exactly(std::span<std::byte> to, std::size_t& got) noexcept {
  return {*in_, direction::in, to, &got};
}

detail::memory_some memory_stream::write_some(std::span<const std::byte> from) noexcept {
  return {*out_, direction::out, from};
}

detail::memory_whole memory_stream::write_all(std::span<const std::byte> from) noexcept {
  return {*out_, direction::out, from, nullptr};
}

detail::memory_whole memory_stream::write_all(std::string_view from) noexcept {
  return {*out_, direction::out, std::as_bytes(std::span(from)), nullptr};
}

detail::memory_whole memory_stream::write_all(std::span<const std::byte> from, std::size_t& sent) noexcept {
  return {*out_, direction::out, from, &sent};
}

detail::memory_whole memory_stream::write_all(std::string_view from, std::size_t& sent) noexcept {
  return {*out_, direction::out, std::as_bytes(std::span(from)), &sent};
}

detail::memory_shutdown memory_stream::shutdown_send() noexcept {
  return detail::memory_shutdown(*out_);
}

detail::memory_close memory_stream::close() noexcept {
  return {*in_, *out_};
}

bool memory_stream::closed() const noexcept {
  return out_->closed(direction::out);
}

std::pair<memory_stream, memory_stream> memory_stream_pair(std::size_t capacity) {
  if (capacity == 0) throw std::invalid_argument("a memory stream needs room for at least one byte");
  const detail::ref there(new detail::memory_pipe(capacity));
  const detail::ref back(new detail::memory_pipe(capacity));
  return {memory_stream(back, there), memory_stream(there, back)};
}

}  // namespace ringlet
