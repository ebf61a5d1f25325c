// L4 io: what the simulated sockets do; knows no kernel but the number of /dev/null, to have descriptors of its own.
// SPDX-License-Identifier: MIT
#include "sim_driver.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringlet::detail {

sim_driver::sim_driver(virtual_clock& clock, fault_plan faults) : clock_(clock), faults_(std::move(faults)) {}

// What goes on in the background has to end while there is a driver.
sim_driver::~sim_driver() {
  io_driver* const outer = std::exchange(current_driver, this);
  while (!pending_.empty()) cancel(*pending_.front());
  while (!due_.empty()) wait(never);
  current_driver = outer;
}

// --- The driver

void sim_driver::submit(io_op& op) noexcept {
  const io_request request = op.request();
  ++counters_.submitted;
  ++asked_[request.code];
  ++asked_in_all_;
  op.set_with_kernel(true);
  if (observer() != nullptr) observer()->submitted(op);
  if (const step fault = fault_for(request)) return finish(op, *fault, faults_.delay_);
  if (const std::optional<scripted> line = next_in_script(request)) {
    return finish(op, line->result, line->after + faults_.delay_);
  }
  pending_.push_back(&op);
  advance_pending();
}

// An operation that is done already stays done; its completion only has not been reported yet.
void sim_driver::cancel(io_op& op) noexcept {
  const auto at = std::find(pending_.begin(), pending_.end(), &op);
  if (at == pending_.end()) return;
  pending_.erase(at);
  finish(op, -ECANCELED, faults_.delay_);
}

void sim_driver::end_input(int fd) noexcept {
  const auto at = fds_.find(fd);
  if (at == fds_.end()) return;
  at->second.at_end = true;
  ++at->second.changes;
  advance_pending();
}

void sim_driver::close(int fd) noexcept {
  const auto at = fds_.find(fd);
  if (at != fds_.end()) {
    const auto peer = fds_.find(at->second.peer);
    if (peer != fds_.end()) {
      peer->second.at_end = true;
      peer->second.peer = -1;
      ++peer->second.changes;
    }
    const std::deque<int> never_accepted = std::move(at->second.backlog);
    fds_.erase(at);
    for (const int connection : never_accepted) close(connection);
    advance_pending();
  }
  ::close(fd);
}

void sim_driver::wait(time_point deadline) noexcept {
  ++counters_.enters;
  if (deliver_due()) return;
  if (due_.empty()) calm_down();
  if (deadline == long_ago) return;
  time_point next = deadline;
  for (const due_completion& c : due_) next = std::min(next, c.when);
  if (next == never) return wait_for_wake_up();
  clock_.advance_to(next);
  deliver_due();
}

void sim_driver::wake() noexcept {
  const std::lock_guard lock(waking_);
  wake_up_ = true;
  woken_.notify_one();
}

void sim_driver::wait_for_wake_up() noexcept {
  std::unique_lock lock(waking_);
  woken_.wait(lock, [this] { return wake_up_; });
  wake_up_ = false;
}

// --- What completes, and when

sim_driver::step sim_driver::fault_for(const io_request& request) noexcept {
  for (const auto& f : faults_.failures_) {
    if (f.kind == request.code && f.nth == asked_[request.code]) return -f.error;
  }
  const unsigned every = faults_.interrupt_every_;
  const bool may_interrupt = every > 0 && request.code != io_code::poll && request.code != io_code::connect;
  if (!may_interrupt || asked_in_all_ % every != 0) return std::nullopt;
  const bool waits_for_readiness = request.code != io_code::shutdown;
  return waits_for_readiness && (asked_in_all_ / every) % 2 == 0 ? -EAGAIN : -EINTR;
}

std::optional<sim_driver::scripted> sim_driver::next_in_script(const io_request& request) noexcept {
  const auto fd = fds_.find(request.fd);
  if (fd == fds_.end()) return std::nullopt;
  auto& script = fd->second.script;
  const auto line =
      std::find_if(script.begin(), script.end(), [&](const scripted& s) { return s.code == request.code; });
  if (line == script.end()) return std::nullopt;
  const scripted taken = *line;
  script.erase(line);
  return taken;
}

// One operation's success may make another one possible, so it goes on until nothing changes.
void sim_driver::advance_pending() noexcept {
  for (std::size_t at = 0; at < pending_.size();) {
    io_op& op = *pending_[at];
    const step done = try_op(op);
    const bool at_end = op.request().code == io_code::receive_many && done == 0;
    const bool goes_on = done && *done >= 0 && !at_end && is_multishot(op) && !multishot_ends();
    if (done) finish(op, *done, faults_.delay_, goes_on);
    if (done && !goes_on) pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
    at = done ? 0 : at + 1;
  }
}

bool sim_driver::is_multishot(const io_op& op) noexcept {
  const io_code code = op.request().code;
  return code == io_code::poll_many || code == io_code::receive_many || code == io_code::accept_many;
}

bool sim_driver::multishot_ends() noexcept {
  const unsigned every = faults_.end_multishot_every_;
  return every > 0 && ++multishot_completions_ % every == 0;
}

void sim_driver::finish(io_op& op, int result, duration after, bool goes_on) noexcept {
  std::uint64_t& order = multishots_[&op].order;
  if (order == 0) order = ++sequence_;
  const std::uint64_t key = faults_.order_seed_ != 0 ? (order ^ faults_.order_seed_) * 0x9e3779b97f4a7c15u : order;
  stir();
  due_.push_back(
      {later(clock_.now(), after), key, ++sequence_, &op, result, std::exchange(just_filled_, nullptr), goes_on});
}

// True when something was reported.
bool sim_driver::deliver_due() noexcept {
  std::vector<due_completion> ready;
  for (const due_completion& c : due_) {
    if (c.when <= clock_.now()) ready.push_back(c);
  }
  std::erase_if(due_, [&](const due_completion& c) { return c.when <= clock_.now(); });
  std::sort(ready.begin(), ready.end(), [](const due_completion& a, const due_completion& b) {
    return std::tie(a.when, a.order, a.sequence) < std::tie(b.when, b.order, b.sequence);
  });
  for (const due_completion& c : ready) {
    ++counters_.completed;
    c.op->set_with_kernel(c.more);
    if (!c.more) multishots_.erase(c.op);
    if (observer() != nullptr) observer()->completed(*c.op, c.result, c.more);
    c.op->complete(c.result, c.filled, c.more);
  }
  return !ready.empty();
}

// --- What the simulated sockets do

sim_driver::step sim_driver::try_op(io_op& op) noexcept {
  const io_request request = op.request();
  const auto at = fds_.find(request.fd);
  if (at == fds_.end()) return -EBADF;
  switch (request.code) {
    case io_code::read:
    case io_code::receive: return receive(at->second, request);
    case io_code::write:
    case io_code::send: return send(at->second, request);
    case io_code::receive_many: return receive_into_buffer(at->second);
    case io_code::accept:
    case io_code::accept_many: return accept(at->second);
    case io_code::poll: return poll(at->second, request);
    case io_code::poll_many: return poll_again(op, at->second, request);
    case io_code::shutdown: return shut_down(at->second);
    case io_code::connect: return std::nullopt;  // only as scripted
    case io_code::open:
    case io_code::sync: break;  // there are no files
  }
  return -EINVAL;
}

sim_driver::step sim_driver::receive(simulated_fd& at, const io_request& request) noexcept {
  if (at.broken) return -ECONNRESET;
  if (at.inbox.empty()) return at.at_end ? step(0) : std::nullopt;
  const std::size_t wanted = std::min<std::size_t>(request.length, faults_.longest_transfer_);
  const std::size_t count = std::min(wanted, at.inbox.size());
  std::memcpy(const_cast<void*>(request.address), at.inbox.data(), count);
  at.inbox.erase(0, count);
  return static_cast<int>(count);
}

sim_driver::step sim_driver::receive_into_buffer(simulated_fd& at) noexcept {
  buffer* free = buffers_->take();
  if (free == nullptr) return -ENOBUFS;
  io_request request{io_code::receive, 0, free->data, sim_buffers::capacity};
  const step done = receive(at, request);
  if (done && *done > 0) {
    free->size = static_cast<std::uint32_t>(*done);
    just_filled_ = free;
  } else {
    buffers_->give_back(*free);
  }
  return done;
}

// What is sent always goes the long way, past the faults that are planned.
int sim_driver::try_now(const io_request& request) noexcept {
  const bool incoming = request.code == io_code::receive || request.code == io_code::read;
  if (!incoming) return -EAGAIN;
  const auto at = fds_.find(request.fd);
  if (at == fds_.end()) return -EBADF;
  const int received = receive(at->second, request).value_or(-EAGAIN);
  if (received > 0) advance_pending();  // the peer has room again
  return received;
}

sim_buffers::sim_buffers() : memory_(count * capacity), buffers_(count, buffer(*this)) {
  for (buffer& b : buffers_) recycle(b);
}

buffer* sim_buffers::take() noexcept {
  buffer* taken = free_.pop_front();
  if (taken == nullptr) return nullptr;
  taken->data = memory_.data() + static_cast<std::size_t>(taken - buffers_.data()) * capacity;
  lend(*taken);
  return taken;
}

void sim_buffers::recycle(buffer& b) noexcept {
  free_.push_front(b);
}

sim_driver::step sim_driver::send(simulated_fd& at, const io_request& request) noexcept {
  if (at.broken) return -ECONNRESET;
  const auto peer = fds_.find(at.peer);
  if (peer == fds_.end() || at.send_shut) return at.capacity == 0 ? std::nullopt : step(-EPIPE);
  if (!writable(at)) return std::nullopt;
  std::string& inbox = peer->second.inbox;
  const std::size_t wanted = std::min<std::size_t>(request.length, faults_.longest_transfer_);
  const std::size_t count = std::min(wanted, peer->second.capacity - inbox.size());
  inbox.append(static_cast<const char*>(request.address), count);
  ++peer->second.changes;
  return static_cast<int>(count);
}

sim_driver::step sim_driver::accept(simulated_fd& at) noexcept {
  if (at.backlog.empty()) return std::nullopt;
  const int fd = at.backlog.front();
  at.backlog.pop_front();
  return fd;
}

bool sim_driver::writable(const simulated_fd& at) const noexcept {
  const auto peer = fds_.find(at.peer);
  return peer != fds_.end() && peer->second.inbox.size() < peer->second.capacity;
}

sim_driver::step sim_driver::poll(const simulated_fd& at, const io_request& request) noexcept {
  const bool readable = !at.inbox.empty() || at.at_end || !at.backlog.empty() || at.broken;
  const bool hung_up = at.broken || (at.peer == -1 && at.capacity > 0);
  unsigned events = 0;
  if (readable) events |= POLLIN;
  if (writable(at)) events |= POLLOUT;
  events &= request.flags;
  if (at.at_end) events |= POLLRDHUP;
  if (hung_up) events |= POLLHUP;
  return events == 0 ? std::nullopt : step(static_cast<int>(events));
}

// Reports a state once, and again when something has changed since.
sim_driver::step sim_driver::poll_again(io_op& op, const simulated_fd& at, const io_request& request) noexcept {
  const step events = poll(at, request);
  std::uint64_t& seen = multishots_[&op].changes_seen;
  if (!events || seen == at.changes) return std::nullopt;
  seen = at.changes;
  return events;
}

sim_driver::step sim_driver::shut_down(simulated_fd& at) noexcept {
  const auto peer = fds_.find(at.peer);
  if (peer == fds_.end()) return -ENOTCONN;
  at.send_shut = true;
  peer->second.at_end = true;
  ++peer->second.changes;
  return 0;
}

// --- Making the world

// Why a real descriptor: its number is nobody else's, closing works as ever, and the leak checks of tests see it.
int sim_driver::make_blank() {
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd < 0) throw os_error("open", "/dev/null", errno);
  fds_[fd] = {};
  return fd;
}

std::pair<int, int> sim_driver::make_connection(std::size_t capacity) {
  const int a = make_blank();
  const int b = make_blank();
  fds_[a].peer = b;
  fds_[b].peer = a;
  fds_[a].capacity = fds_[b].capacity = capacity;
  return {a, b};
}

int sim_driver::make_listener() {
  const int fd = make_blank();
  fds_[fd].listening = true;
  return fd;
}

int sim_driver::connect_to(int listener, std::size_t capacity) {
  const auto [client, server] = make_connection(capacity);
  fds_[listener].backlog.push_back(server);
  ++fds_[listener].changes;
  advance_pending();
  return client;
}

void sim_driver::reset(int fd) {
  fds_[fd].broken = true;
  fds_[fd].inbox.clear();
  ++fds_[fd].changes;
  advance_pending();
}

void sim_driver::script(io_code code, int fd, int result, duration after) {
  fds_[fd].script.push_back({code, result, after});
}

unsigned sim_driver::asked(io_code code) const noexcept {
  const auto at = asked_.find(code);
  return at == asked_.end() ? 0 : at->second;
}

}  // namespace ringlet::detail
