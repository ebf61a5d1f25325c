// L5 services: how a process is waited for, stopped and reaped, and its pipes kept flowing; knows pidfds.
// SPDX-License-Identifier: MIT
#include "running.hpp"

#include <ringlet/detail/added_at_end.hpp>
#include <ringlet/io.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/timeout.hpp>

#include <cerrno>
#include <csignal>
#include <utility>

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringlet::process::detail {
namespace {

// Where there are no pidfds.
constexpr auto time_between_looks = std::chrono::milliseconds(5);

/// A killed process that nobody waits for any more; reaped when it is dead. Owns itself.
class orphan final : private ringlet::detail::io_op, private ringlet::detail::background {
 public:
  static void adopt(process_handle&& process) {
    auto* made = new orphan(std::move(process));
    ringlet::detail::this_driver().add_background(*made);
    made->submit();
  }

 private:
  explicit orphan(process_handle&& process) noexcept
      : io_op({ringlet::detail::io_code::poll, process.pidfd(), nullptr, 0, POLLIN}), process_(std::move(process)) {}

  // Why it may block: it is killed, and so about to end; and so may be the loop.
  void complete(int, ringlet::detail::buffer*, bool) noexcept override {
    ringlet::detail::this_driver().remove_background(*this);
    end_with(0);
    process_.reap(0);
    delete this;
  }

  process_handle process_;
};

/// Counts a stop() from its beginning to its end.
class stop_in_progress {
 public:
  explicit stop_in_progress(unsigned& count) noexcept : count_(count) { ++count_; }
  stop_in_progress(const stop_in_progress&) = delete;
  stop_in_progress& operator=(const stop_in_progress&) = delete;
  ~stop_in_progress() { --count_; }

 private:
  unsigned& count_;
};

}  // namespace

// --- process_handle

int process_handle::wait_for_it(siginfo_t& info, int flags) const noexcept {
  const idtype_t kind = pidfd_ ? P_PIDFD : P_PID;
  const auto which = static_cast<id_t>(pidfd_ ? pidfd_.get() : pid_);
  int result = 0;
  do {
    result = ::waitid(kind, which, &info, WEXITED | flags);
  } while (result != 0 && errno == EINTR);
  return result;
}

void process_handle::reap(int flags) noexcept {
  siginfo_t info{};
  if (wait_for_it(info, flags) != 0) {
    end_ = status::of_unknown();
  } else if (info.si_pid != 0) {
    end_ = info.si_code == CLD_EXITED ? status::of_exit(info.si_status) : status::of_signal(info.si_status);
  }
}

bool process_handle::has_ended() noexcept {
  if (end_) return true;
  siginfo_t info{};
  const int result = wait_for_it(info, WNOHANG | WNOWAIT);
  if (result != 0) end_ = status::of_unknown();
  return result != 0 || info.si_pid != 0;
}

int process_handle::send(int signal) noexcept {
  if (end_) return 0;
  const long sent = pidfd_ ? ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0u) : ::kill(pid_, signal);
  return sent == 0 || errno == ESRCH ? 0 : errno;
}

// Invariant: as long as it is not reaped, its number is nobody else's, and its group's neither.
void process_handle::send_to_all(int signal) noexcept {
  has_ended();  // Why: somebody else may have reaped it, and then nothing is ours any more
  if (end_) return;
  if (leads_group_) ::kill(-pid_, signal);
  send(signal);
}

// --- transfers

task<> transfers::go_on(std::string usual_input) {
  if (!input) input = std::move(usual_input);
  const auto all = [this](nursery& n) -> task<> {
    n.spawn([this] { return feed(); });
    n.spawn([this] { return drain(out, out_text_); });
    n.spawn([this] { return drain(err, err_text_); });
    co_return;
  };
  co_await with_nursery(all);
}

void transfers::give_captured(completed& to) noexcept {
  to.out = std::move(out_text_);
  to.err = std::move(err_text_);
}

task<> transfers::feed() {
  if (!in) co_return;
  const std::string_view rest = std::string_view(*input).substr(fed_);
  std::size_t sent = 0;
  const ringlet::detail::added_at_end counted(fed_, sent);  // also when this is cancelled
  try {
    co_await in->write_all(rest, sent);
  } catch (const os_error& e) {
    if (e.code() != std::errc::broken_pipe) throw;  // Why: nobody need read all that there is
  }
  co_await in->close();
  in.reset();
}

task<> transfers::drain(std::optional<pipe_reader>& from, std::string& to) {
  if (!from) co_return;
  while (const chunk received = co_await from->receive()) to.append(received.text());
  co_await from->close();
  from.reset();
}

// --- running

running::~running() {
  if (poll()) return;
  process_.send_to_all(SIGKILL);
  process_.reap(process_.pidfd() >= 0 ? WNOHANG : 0);
  if (process_.end()) return;
  try {
    orphan::adopt(std::move(process_));
  } catch (const std::bad_alloc&) {
    process_.reap(0);
  }
}

// Why the group is killed first, if it is to go: whom its number stands for is certain only until this is reaped.
const std::optional<status>& running::poll() noexcept {
  const bool group_is_to_go = stops_ > 0 && process_.has_ended();
  if (group_is_to_go) process_.send_to_all(SIGKILL);
  if (!process_.end()) process_.reap(WNOHANG);
  return process_.end();
}

task<status> running::wait() {
  co_await checkpoint();
  while (!poll()) co_await may_have_ended();
  co_return *process_.end();
}

task<> running::may_have_ended() {
  if (process_.pidfd() >= 0) {
    co_await readable(process_.pidfd());
  } else {
    co_await sleep_for(time_between_looks);
  }
}

task<> running::ended() {
  while (!process_.has_ended()) co_await may_have_ended();
}

// One that has ended, but is not reaped yet, may have left others in its group.
task<status> running::stop() {
  const stop_in_progress others_see_it(stops_);
  if (!process_.end()) {
    process_.send_to_all(policy_.first_signal());
    const bool in_time = co_await move_on_after(policy_.grace(), ended());
    process_.send_to_all(SIGKILL);
    if (!in_time) tell_of_kill();
  }
  co_return co_await wait();
}

// Once, for several tasks may stop it at a time.
void running::tell_of_kill() {
  const auto tell = std::exchange(policy_.on_kill_, {});
  if (tell) tell(process_.pid(), program_);
}

task<completed> running::communicate(std::string input) {
  co_await streams.go_on(std::move(input));
  const status end = co_await wait();
  completed result(end);
  streams.give_captured(result);
  co_return result;
}

// --- running_pipeline

std::optional<completed> running_pipeline::poll() {
  completed result(status::of_exit(0));
  result.stages.clear();
  for (child& each : stages) {
    const std::optional<status> end = each.poll();
    if (!end) return {};
    result.stages.push_back(*end);
    if (!end->ok()) result.status = *end;
  }
  return result;
}

// Why none is reaped before all have ended: until then stop() can reach its group.
task<completed> running_pipeline::wait() {
  co_await checkpoint();
  for (child& each : stages) co_await each.state_->ended();
  co_return *poll();
}

task<completed> running_pipeline::stop() {
  const auto all = [this](nursery& n) -> task<> {
    for (child& each : stages) n.spawn([](child* c) -> task<> { co_await c->stop(); }, borrowed(&each));
    co_return;
  };
  co_await with_nursery(all);
  co_return *poll();
}

task<completed> running_pipeline::communicate(std::string input) {
  co_await streams.go_on(std::move(input));
  co_await wait();
  co_return ends_and_captured();
}

completed running_pipeline::ends_and_captured() {
  completed result = *poll();
  streams.give_captured(result);
  return result;
}

void running_pipeline::send_signal(int number) {
  std::exception_ptr refused;
  for (child& each : stages) {
    try {
      each.send_signal(number);
    } catch (const os_error&) {
      refused = std::current_exception();
    }
  }
  if (refused) std::rethrow_exception(refused);
}

}  // namespace ringlet::process::detail
