// L4 io: submits to the kernel's ring, waits on it and reaps it; knows liburing.
// SPDX-License-Identifier: MIT
#include "uring_driver.hpp"

#include "event_fd.hpp"
#include "plain_path.hpp"
#include "setup.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

constexpr unsigned completions_a_reap = 256;

// Why: while real operations are in flight, virtual time stands still this long for them to complete.
constexpr auto grace_of_virtual_time = std::chrono::milliseconds(5);

/// What the kernel wants to know of a kind of request.
struct sqe_kind {
  std::uint8_t opcode;
  std::uint8_t flags = 0;     // IOSQE_
  std::uint16_t ioprio = 0;   // where further flags of many opcodes are
  std::uint32_t options = 0;  // where those of a poll are, in place of a length
};

constexpr sqe_kind kind_of(io_code code) noexcept {
  switch (code) {
    case io_code::read: return {IORING_OP_READ};
    case io_code::write: return {IORING_OP_WRITE};
    case io_code::receive: return {IORING_OP_RECV};
    case io_code::receive_many: return {IORING_OP_RECV, IOSQE_BUFFER_SELECT, IORING_RECV_MULTISHOT};
    case io_code::send: return {IORING_OP_SEND};
    case io_code::accept: return {IORING_OP_ACCEPT};
    case io_code::accept_many: return {IORING_OP_ACCEPT, 0, IORING_ACCEPT_MULTISHOT};
    case io_code::connect: return {IORING_OP_CONNECT};
    case io_code::poll: return {IORING_OP_POLL_ADD};
    case io_code::poll_many: return {IORING_OP_POLL_ADD, 0, 0, IORING_POLL_ADD_MULTI};
    case io_code::shutdown: return {IORING_OP_SHUTDOWN};
    // Kernel: it would first try with O_NONBLOCK, and then a named pipe opens before its other end is there, or fails.
    case io_code::open: return {IORING_OP_OPENAT, IOSQE_ASYNC};
    case io_code::sync: return {IORING_OP_FSYNC};
  }
  return {IORING_OP_NOP};
}

/// kind_of() of every code, so that nothing is decided for each request.
constexpr auto kinds = [] {
  std::array<sqe_kind, static_cast<std::size_t>(io_code::sync) + 1> all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = kind_of(static_cast<io_code>(i));
  return all;
}();

void prepare(io_uring_sqe* sqe, const io_request& request) noexcept {
  static_assert(buffer_ring::group == 0, "the group of buffers is a field that io_uring_prep_rw clears");
  const sqe_kind& kind = kinds[static_cast<std::size_t>(request.code)];
  io_uring_prep_rw(kind.opcode, sqe, request.fd, request.address, request.length | kind.options, request.offset);
  sqe->flags = kind.flags;
  sqe->ioprio = kind.ioprio;
  const bool polls = kind.opcode == IORING_OP_POLL_ADD;
  const unsigned flags = polls ? __io_uring_prep_poll_mask(request.flags) : request.flags;
  sqe->rw_flags = static_cast<int>(flags);  // one field with all other flags
}

constexpr unsigned kernel_asks = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;

bool kernel_has_something(const io_uring& ring) noexcept {
  const unsigned flags = IO_URING_READ_ONCE(*ring.sq.kflags);
  return (flags & kernel_asks) != 0;
}

// Pipes do not wait because they were told so when they were made.
ssize_t transfer_now(const io_request& request) noexcept {
  void* const at = const_cast<void*>(request.address);
  switch (request.code) {
    case io_code::receive: return ::recv(request.fd, at, request.length, MSG_DONTWAIT);
    case io_code::send: return ::send(request.fd, at, request.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    case io_code::read: return ::read(request.fd, at, request.length);
    case io_code::write: return ::write(request.fd, at, request.length);
    default: break;
  }
  errno = EINVAL;
  return -1;
}

}  // namespace

uring_driver::uring_driver(std::optional<unsigned> entries, virtual_clock* clock)
    : wake_fd_(make_event_fd()),
      wake_up_(wake_fd_.get()),
      ring_(open_ring(entries.value_or(usual_entries()))),
      buffers_refused_(plain_path_forced()),
      clock_(clock) {
  current_driver = this;
  tell_news_by(*ring_.sq.kflags, kernel_asks);
  wake_up_.arm();
}

uring_driver::~uring_driver() {
  wake_up_.disarm();
  while (in_flight_ > 0 || !postponed_.empty()) {
    request_end_of_all();
    wait(never);
  }
  close_ring(ring_);
  current_driver = nullptr;
}

// --- Submitting

// Why in two: what seldom happens would take registers from what always does.
void uring_driver::submit(io_op& op) noexcept {
  io_uring_sqe* sqe = op.polls_first() ? nullptr : sqe_at_hand();
  sqe != nullptr ? start(op, op.plain_request(), sqe) : submit_unusual(op);
}

// The queue is full, others are before us, or the operation waits for readiness first.
void uring_driver::submit_unusual(io_op& op) noexcept {
  io_uring_sqe* sqe = next_sqe();
  if (sqe == nullptr) return postpone(op);
  start(op, op.request(), sqe);
}

// Invariant: a cancel request comes after its target in the submission queue, and so finds it.
void uring_driver::cancel(io_op& op) noexcept {
  if (op.linked() || !op.with_kernel()) return;  // not even started: start_postponed() ends it, or whom it waits for
  io_uring_sqe* sqe = next_sqe();
  if (sqe == nullptr) return postpone(op);
  request_end(op, sqe);
}

// Null when the queue is full, or when others are before us.
io_uring_sqe* uring_driver::sqe_at_hand() noexcept {
  stir();
  return postponed_.empty() ? io_uring_get_sqe(&ring_) : nullptr;
}

// Null when the kernel takes nothing right now either.
io_uring_sqe* uring_driver::next_sqe() noexcept {
  io_uring_sqe* sqe = sqe_at_hand();
  return sqe != nullptr || !postponed_.empty() ? sqe : sqe_after_submitting();
}

io_uring_sqe* uring_driver::sqe_after_submitting() noexcept {
  if (observer() != nullptr) tell_of_submissions();
  ++counters_.enters;
  check_enter(io_uring_submit(&ring_));
  return io_uring_get_sqe(&ring_);
}

void uring_driver::start(io_op& op, const io_request& request, io_uring_sqe* sqe) noexcept {
  prepare(sqe, request);
  io_uring_sqe_set_data(sqe, &op);
  op.set_with_kernel(true);
  ++in_flight_;
  ++counters_.submitted;
}

void uring_driver::request_end(io_op& op, io_uring_sqe* sqe) noexcept {
  io_uring_prep_cancel(sqe, &op, 0);
  io_uring_sqe_set_data64(sqe, 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  ++counters_.submitted;
}

// What nobody awaits any more, but goes on by itself.
void uring_driver::request_end_of_all() noexcept {
  io_uring_sqe* sqe = next_sqe();
  if (sqe == nullptr) return;
  io_uring_prep_cancel(sqe, nullptr, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
  io_uring_sqe_set_data64(sqe, 0);
  ++counters_.submitted;
}

void uring_driver::postpone(io_op& op) noexcept {
  postponed_.push_back(op);
}

// True when a task became ready by it.
bool uring_driver::start_postponed() noexcept {
  bool ended_some = false;
  while (io_op* op = postponed_.front()) {
    const bool never_started = !op->with_kernel();
    if (never_started && op->end_requested()) {
      op->unlink();
      op->complete(-ECANCELED, nullptr, false);
      ended_some = true;
      continue;
    }
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) sqe = sqe_after_submitting();
    if (sqe == nullptr) return ended_some;
    op->unlink();
    never_started ? start(*op, op->request(), sqe) : request_end(*op, sqe);
  }
  return ended_some;
}

// --- Waiting

void uring_driver::wait(time_point deadline) noexcept {
  calm_down();
  const bool must_not_block = start_postponed() || !postponed_.empty();
  if (observer() != nullptr) tell_of_submissions();
  if (must_not_block || deadline == long_ago) {
    enter_without_waiting();
  } else if (clock_ != nullptr && deadline != never) {
    wait_in_virtual_time(deadline);
  } else {
    enter_and_wait(deadline);
  }
  reap();
  if (io_uring_sq_ready(&ring_) > 0 || io_uring_cq_ready(&ring_) > 0 || !postponed_.empty()) stir();
}

// No system call when there is nothing to submit and the kernel has nothing for us.
void uring_driver::enter_without_waiting() noexcept {
  if (io_uring_sq_ready(&ring_) == 0 && !kernel_has_something(ring_)) return;
  ++counters_.enters;
  check_enter(io_uring_submit_and_get_events(&ring_));
}

void uring_driver::enter_and_wait(time_point deadline) noexcept {
  ++counters_.enters;
  if (deadline == never) return check_enter(io_uring_submit_and_wait(&ring_, 1));
  const duration left = std::max(deadline - time_point(std::chrono::steady_clock::now()), duration::zero());
  __kernel_timespec timeout{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  io_uring_cqe* first = nullptr;
  check_enter(io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr));
}

void uring_driver::wait_in_virtual_time(time_point deadline) noexcept {
  if (in_flight() > 0) {
    const std::uint64_t before = counters_.completed;
    enter_and_wait(std::chrono::steady_clock::now() + grace_of_virtual_time);
    reap();
    if (counters_.completed != before) return;
  }
  clock_->advance_to(deadline);
}

// What can be better at the next turn is left to it: an interrupted wait, a time that is over, a short memory.
void uring_driver::check_enter(int result) noexcept {
  const bool in_order =
      result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM;
  RINGLET_CHECK(in_order, "io_uring_enter failed: {}", std::strerror(-result));
}

void uring_driver::wake() noexcept {
  raise_event(wake_fd_.get());
}

// --- Reaping

// Why bounded: what completes meanwhile can wait for the next turn. Each entry is copied and its place freed before
// anybody looks at it, so that what follows finds room in the queue.
void uring_driver::reap() noexcept {
  if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0) ++counters_.cq_overflows;
  const io_uring_cq& queue = ring_.cq;
  const io_uring_cqe* const entries = queue.cqes;
  unsigned* const head_in_ring = queue.khead;
  const unsigned mask = *queue.kring_mask;
  unsigned head = *head_in_ring;
  const unsigned count = std::min(io_uring_cq_ready(&ring_), completions_a_reap);
  if (observer() != nullptr) tell_of_completions(count);
  counters_.completed += count;
  for (const unsigned end = head + count; head != end;) {
    const io_uring_cqe& entry = entries[head & mask];
    const completion done{io_uring_cqe_get_data(&entry), entry.res, entry.flags};
    io_uring_smp_store_release(head_in_ring, ++head);
    dispatch(done);
  }
}

// --- Being observed: what the queues hold is looked at once a turn, so that it costs nothing else

// What is queued and not yet handed over.
void uring_driver::tell_of_submissions() noexcept {
  const io_uring_sq& queue = ring_.sq;
  for (unsigned at = queue.sqe_head; at != queue.sqe_tail; ++at) {
    const auto* op = reinterpret_cast<const io_op*>(queue.sqes[at & *queue.kring_mask].user_data);
    if (op != nullptr) observer()->submitted(*op);
  }
}

void uring_driver::tell_of_completions(unsigned count) noexcept {
  const io_uring_cq& queue = ring_.cq;
  for (unsigned at = *queue.khead; count > 0; ++at, --count) {
    const io_uring_cqe& entry = queue.cqes[at & *queue.kring_mask];
    const auto* op = static_cast<const io_op*>(io_uring_cqe_get_data(&entry));
    if (op != nullptr) observer()->completed(*op, entry.res, (entry.flags & IORING_CQE_F_MORE) != 0);
  }
}

void uring_driver::dispatch(const completion& done) noexcept {
  io_op* op = static_cast<io_op*>(done.op);
  if (op == nullptr) return;  // a cancel request that found nothing to cancel
  const bool more = (done.flags & IORING_CQE_F_MORE) != 0;
  if (!more) {
    --in_flight_;
    op->set_with_kernel(false);
    if (op->linked()) op->unlink();  // its cancel request is no longer needed
  }
  op->complete(done.result, received(done), more);
}

buffer* uring_driver::received(const completion& done) noexcept {
  if ((done.flags & IORING_CQE_F_BUFFER) == 0) return nullptr;
  const unsigned number = done.flags >> IORING_CQE_BUFFER_SHIFT;
  if (done.result > 0) [[likely]]
    return &buffers_->filled(number, static_cast<std::uint32_t>(done.result));
  buffers_->give_back(buffers_->filled(number, 0));
  return nullptr;
}

std::size_t uring_driver::in_flight() const noexcept {
  const std::size_t left_out = unattended();
  const std::size_t counted = in_flight_ > left_out ? in_flight_ - left_out : 0;  // Why: some may still be postponed
  return counted + (postponed_.empty() ? 0 : 1);
}

bool uring_driver::expects_completion() const noexcept {
  return in_flight_ > in_background() || attends_any() || !postponed_.empty();
}

bool uring_driver::multishot() noexcept {
  const bool untried = buffers_ == nullptr && !buffers_refused_;
  if (untried) {
    buffers_ = buffer_ring::make(ring_);
    buffers_refused_ = buffers_ == nullptr;
  }
  return !buffers_refused_;
}

int uring_driver::try_now(const io_request& request) noexcept {
  const ssize_t result = transfer_now(request);
  return result >= 0 ? static_cast<int>(result) : -errno;
}

// Nothing to look at: it only fails for a connection that has ended anyway.
void uring_driver::end_input(int fd) noexcept {
  ::shutdown(fd, SHUT_RD);
}

void uring_driver::close(int fd) noexcept {
  ::close(fd);
}

void uring_driver::wake_up::arm() noexcept {
  request_.flags = POLLIN;
  this_driver().add_background(*this);
  submit();
}

void uring_driver::wake_up::complete(int, buffer*, bool more) noexcept {
  if (more) return;
  const bool wanted = !cancelling();
  this_driver().remove_background(*this);
  end_with(0);
  if (wanted) arm();
}

}  // namespace ringlet::detail
