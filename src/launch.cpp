// L5 services: the steps between vfork and exec; knows only system calls there.
// SPDX-License-Identifier: MIT
#include "launch.hpp"

#include <ringlet/error.hpp>

#include "new_process_signals.hpp"
#include "plain_path.hpp"
#include "signals_blocked.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringlet::process::detail {
namespace {

enum class step : int { session, group, descriptors, pass, directory, exec };

/// What the child tells its parent when it cannot become the program.
struct failure {
  step where;
  int error;
};

const char* name_of(step where) noexcept {
  switch (where) {
    case step::session: return "setsid";
    case step::group: return "setpgid";
    case step::descriptors: return "dup2";
    case step::pass: return "pass_fd";
    case step::directory: return "chdir";
    case step::exec: return "exec";
  }
  return "?";
}

/// Pointers to texts that live elsewhere, with a null at the end.
std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The child's side. It shares the parent's memory, and the parent's thread stands still: only system calls, and no
// write to anything that the parent still needs.
class new_process {
 public:
  new_process(const launch_plan& plan, const std::vector<char*>& paths, char* const* arguments, char* const* variables,
              int report_to) noexcept
      : plan_(plan), paths_(paths), arguments_(arguments), variables_(variables), report_to_(report_to) {}

  [[noreturn]] void become_program() noexcept {
    ringlet::detail::forget_handlers();  // Why so early: once the mask is gone, one would run in the parent's memory
    if (plan_.new_session && ::setsid() < 0) give_up(step::session);
    if (plan_.new_group && !plan_.new_session && ::setpgid(0, 0) != 0) give_up(step::group);
    take_descriptors();
    if (plan_.directory != nullptr && ::chdir(plan_.directory) != 0) give_up(step::directory);
    ringlet::detail::let_all_signals_in();
    exec();
  }

 private:
  // Why copies first: one of the first three may be a source, and be overwritten before its turn.
  void take_descriptors() noexcept {
    std::array<int, 3> sources = plan_.standard;
    for (int target = 0; target < 3; ++target) {
      int& source = sources[static_cast<std::size_t>(target)];
      if (source < 3 && source != target) source = ::fcntl(source, F_DUPFD_CLOEXEC, 3);
      if (source < 0) give_up(step::descriptors);
    }
    for (int target = 0; target < 3; ++target) {
      const int source = sources[static_cast<std::size_t>(target)];
      if (source == target) {
        keep_open(target);  // it may be closed in the parent; then it stays so
      } else if (::dup2(source, target) < 0) {
        give_up(step::descriptors);
      }
    }
    ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    for (const int fd : plan_.passed) {
      if (!keep_open(fd)) give_up(step::pass);
    }
  }

  static bool keep_open(int fd) noexcept { return ::fcntl(fd, F_SETFD, 0) == 0; }

  [[noreturn]] void exec() noexcept {
    int worst = ENOENT;
    for (std::size_t i = 0; i + 1 < paths_.size(); ++i) {
      ::execve(paths_[i], arguments_, variables_);
      const bool look_further = errno == ENOENT || errno == ENOTDIR || errno == EACCES;
      if (errno != ENOENT && errno != ENOTDIR) worst = errno;
      if (!look_further) break;
    }
    errno = worst;
    give_up(step::exec);
  }

  [[noreturn]] void give_up(step where) noexcept {
    const failure why{where, errno};
    [[maybe_unused]] const auto written = ::write(report_to_, &why, sizeof why);
    ::_exit(127);
  }

  const launch_plan& plan_;
  const std::vector<char*>& paths_;
  char* const* arguments_;
  char* const* variables_;
  int report_to_;
};

// Why a function of its own, and never inlined: what the child leaves on the stack is below the parent's frame.
[[gnu::noinline]] int start(new_process& child) noexcept {
  const int pid = ::vfork();
  if (pid == 0) child.become_program();
  return pid;
}

/// Where the child reports a failure; closed by exec when there is none.
struct report {
  report() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw os_error("pipe", "", errno);
    reading = unique_fd(ends[0]);
    writing = unique_fd(ends[1]);
    reading = above_the_first_three(std::move(reading));
    writing = above_the_first_three(std::move(writing));
  }
  unique_fd reading;
  unique_fd writing;
};

bool read_failure(int fd, failure& why) noexcept {
  ssize_t got = 0;
  do {
    got = ::read(fd, &why, sizeof why);
  } while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof why);
}

void reap(int pid) noexcept {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

[[noreturn]] void throw_failure(const launch_plan& plan, const failure& why) {
  const bool about_directory = why.where == step::directory;
  throw os_error(name_of(why.where), about_directory ? plan.directory : plan.name, why.error);
}

// None where the kernel or a filter of system calls does not know them, and when the process has been reaped already,
// because SIGCHLD is ignored or somebody waits for every child.
unique_fd open_pidfd(int pid) {
  if (ringlet::detail::plain_path_forced()) return unique_fd();
  unique_fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)));
  const bool may_be_missing = errno == ESRCH || errno == ENOSYS || errno == EPERM;
  if (fd || may_be_missing) return fd;
  const int error = errno;
  ::kill(pid, SIGKILL);
  reap(pid);
  throw os_error("pidfd_open", std::to_string(pid), error);
}

}  // namespace

unique_fd above_the_first_three(unique_fd fd) {
  if (fd.get() >= 3) return fd;
  unique_fd higher(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!higher) throw os_error("fcntl", fd.get(), errno);
  return higher;
}

launched launch(const launch_plan& plan) {
  const std::vector<char*> paths = pointers_to(plan.candidates);
  const std::vector<char*> arguments = pointers_to(plan.arguments);
  const std::vector<char*> variables = pointers_to(plan.environment);
  report channel;
  new_process child(plan, paths, arguments.data(), variables.data(), channel.writing.get());
  int pid = -1;
  int error = 0;
  {
    const ringlet::detail::signals_blocked guard;  // Why: the child must first forget the handlers
    pid = start(child);
    error = errno;
  }
  if (pid < 0) throw os_error("vfork", plan.name, error);
  channel.writing.reset();
  failure why{};
  if (read_failure(channel.reading.get(), why)) {
    reap(pid);
    throw_failure(plan, why);
  }
  return {pid, open_pidfd(pid)};
}

}  // namespace ringlet::process::detail
