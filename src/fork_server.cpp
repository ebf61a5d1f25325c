// L5 services: the process from which the workers of a process_pool are forked; knows system calls.
// SPDX-License-Identifier: MIT
#include "fork_server.hpp"

#include <ringlet/detail/io_driver.hpp>
#include <ringlet/error.hpp>
#include <ringlet/scheduler.hpp>

#include "fd_message.hpp"
#include "launch.hpp"
#include "new_process_signals.hpp"
#include "plain_path.hpp"
#include "pool_worker.hpp"
#include "signals_blocked.hpp"
#include "socket_calls.hpp"

#include <cerrno>
#include <cstdio>
#include <vector>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

/// fd: 3 or more. The first three stay, too.
void close_all_but(int fd) noexcept {
  if (fd > 3) ::close_range(3, static_cast<unsigned>(fd) - 1, 0);
  ::close_range(static_cast<unsigned>(fd) + 1, ~0u, 0);
}

sigset_t only(int signal) noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  return set;
}

// Why: the pool may be made by a task, and the loop is not to go on here. Its memory is left as it is.
void forget_loop() noexcept {
  current_driver = nullptr;
  current_scheduler = nullptr;
  current = execution();
}

/// The server's own side. It blocks when it has nothing to do, and while a worker that it has killed ends.
class serving {
 public:
  serving(int control, std::size_t workers, int parent) : control_(control), parent_pid_(parent), workers_(workers) {
    const sigset_t ends = only(SIGCHLD);
    worker_ended_ = unique_fd(::signalfd(-1, &ends, SFD_CLOEXEC));
    if (!ringlet::detail::plain_path_forced()) {
      parent_ = unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, parent, 0u)));
    }
    if (!worker_ended_) end();
  }

  [[noreturn]] void serve() {
    for (;;) {
      pollfd events[] = {{control_, POLLIN, 0}, {worker_ended_.get(), POLLIN, 0}, {parent_.get(), POLLIN, 0}};
      ::poll(events, std::size(events), -1);
      const bool parent_has_gone = events[2].revents != 0 || ::getppid() != parent_pid_;
      if (parent_has_gone) end();
      if (events[1].revents != 0) reap_ended();
      if (events[0].revents != 0) answer();
    }
  }

 private:
  /// One worker, and the next one in its place.
  struct place {
    int pid = 0;       // 0: there is none
    int status = 0;    // of the last one that was reaped
    unique_fd socket;  // a copy of the worker's; none when there is no worker
  };

  void answer() {
    fork_request asked{};
    if (!receive_all(control_, &asked, sizeof asked)) end();
    place& where = workers_.at(asked.worker);
    if (where.pid != 0) kill_and_reap(where);
    const fork_reply reply = asked.what == fork_request::kind::start ? start(where) : where.status;
    if (!send_all(control_, &reply, sizeof reply)) end();
  }

  unique_fd receive_socket() noexcept {
    fd_message message;
    const ssize_t got = ::recvmsg(control_, &message.header(), MSG_CMSG_CLOEXEC);
    return got > 0 ? message.get() : unique_fd();
  }

  fork_reply start(place& where) {
    where.socket = receive_socket();
    if (!where.socket) return EMFILE;
    const int server = ::getpid();
    where.pid = ::fork();
    if (where.pid == 0) become_worker(server, where.socket.release());
    const int error = errno;
    if (where.pid > 0) {
      ::setpgid(where.pid, where.pid);
      return 0;
    }
    where.pid = 0;
    where.socket.reset();
    return error;
  }

  // Kernel: the signal on the parent's death is lost when the parent has died before it was asked for.
  [[noreturn]] static void become_worker(int server, int socket) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != server) ::_exit(0);
    close_all_but(socket);
    let_all_signals_in();
    work_on_calls(socket);
  }

  void reap_ended() noexcept {
    signalfd_siginfo noted;
    [[maybe_unused]] const auto read = ::read(worker_ended_.get(), &noted, sizeof noted);
    for (place& each : workers_) {
      siginfo_t info{};
      const auto pid = static_cast<id_t>(each.pid);
      if (pid == 0 || ::waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) continue;
      if (info.si_pid != 0) kill_and_reap(each);
    }
  }

  // What it has started goes with it: until it is reaped, its number and its group's are nobody else's. Why the socket
  // is shut down only then: whoever reads the end of the stream can ask for the status, whatever others, who have
  // inherited the socket, do with it.
  static void kill_and_reap(place& where) noexcept {
    ::kill(-where.pid, SIGKILL);
    ::kill(where.pid, SIGKILL);
    while (::waitpid(where.pid, &where.status, 0) < 0 && errno == EINTR) continue;
    where.pid = 0;
    ::shutdown(where.socket.get(), SHUT_RDWR);
    where.socket.reset();
  }

  [[noreturn]] void end() noexcept {
    for (place& each : workers_) {
      if (each.pid != 0) ::kill(each.pid, SIGKILL);
    }
    for (place& each : workers_) {
      if (each.pid != 0) kill_and_reap(each);
    }
    ::_exit(0);
  }

  int control_;
  int parent_pid_;
  unique_fd worker_ended_;
  unique_fd parent_;  // none: there are no pidfds here
  std::vector<place> workers_;
};

// Why a session of its own, and why all signals stay blocked here: what a terminal or a service manager sends to all of
// the program is for the parent, which may want to let its calls come to their ends.
[[noreturn]] void become_fork_server(int control, std::size_t workers, int parent) noexcept {
  forget_handlers();
  forget_loop();
  ::setsid();
  close_all_but(control);
  serving(control, workers, parent).serve();
}

}  // namespace

std::pair<unique_fd, unique_fd> open_worker_pair() {
  auto [one, other] = open_socket_pair();
  return {process::detail::above_the_first_three(std::move(one)),
          process::detail::above_the_first_three(std::move(other))};
}

// Why flush: what has not been written yet would be in both processes, and be written twice.
fork_server start_fork_server(std::size_t workers) {
  auto [ours, its] = open_worker_pair();
  std::fflush(nullptr);
  const int parent = ::getpid();
  int pid = -1;
  int error = 0;
  {
    const signals_blocked guard;
    pid = ::fork();
    if (pid == 0) become_fork_server(its.get(), workers, parent);
    error = errno;
  }
  if (pid < 0) throw os_error("fork", "", error);
  return {pid, std::move(ours)};
}

}  // namespace ringlet::detail
