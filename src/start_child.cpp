// L5 services: where a child's first descriptors lead, its environment and the paths to try; knows system calls.
// SPDX-License-Identifier: MIT
#include "start_child.hpp"

#include <ringlet/cancel.hpp>
#include <ringlet/mutex.hpp>
#include <ringlet/sleep.hpp>

#include "running.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace ringlet::process {
namespace {

bool is_set(const char* text) noexcept {
  return text != nullptr && *text != '\0';
}

// Empty elements of PATH, which some shells take for the current directory, count for nothing.
std::vector<std::string> paths_of(const std::string& program) {
  if (program.find('/') != program.npos) return {program};
  const char* variable = ::getenv("PATH");
  std::string_view rest = is_set(variable) ? variable : "/usr/local/bin:/usr/bin:/bin";
  std::vector<std::string> paths;
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    if (!directory.empty()) paths.push_back(fmt::format("{}/{}", directory, program));
  }
  return paths;
}

}  // namespace

void detail::raw_pipe::open() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw os_error("pipe", "", errno);
  reading = unique_fd(ends[0]);
  writing = unique_fd(ends[1]);
  reading = above_the_first_three(std::move(reading));
  writing = above_the_first_three(std::move(writing));
}

/// Opens what a child's first three descriptors are to be.
class standard_streams {
 public:
  explicit standard_streams(const cmd& what) {
    const bool input_is_lost = what.input_ && what.in_ && what.in_->kind_ != stdio::kind::pipe;
    if (input_is_lost) throw std::invalid_argument("cmd: input() goes to a pipe, and in() is to lead elsewhere");
    const stdio usual_in = what.input_ ? stdio::pipe() : stdio::inherit();
    numbers[0] = open(what.in_.value_or(usual_in), 0);
    numbers[1] = open(what.out_.value_or(stdio::inherit()), 1);
    numbers[2] = open(what.err_.value_or(stdio::inherit()), 2);
  }

  std::array<int, 3> numbers{};
  std::array<unique_fd, 3> parents_ends;  // none: no pipe

 private:
  int open(const stdio& where, int target) {
    switch (where.kind_) {
      case stdio::kind::pipe: return open_pipe(target);
      case stdio::kind::inherit: return target;
      case stdio::kind::null: return open_file("/dev/null", target);
      case stdio::kind::file: return open_file(where.path_, target);
      case stdio::kind::fd: return where.fd_;
      case stdio::kind::to_stdout: break;
    }
    if (target != 2) throw std::invalid_argument("cmd: to_stdout() is for err() only");
    return numbers[1];
  }

  int open_pipe(int target) {
    detail::raw_pipe made;
    made.open();
    const bool to_child = target == 0;
    parents_ends[static_cast<std::size_t>(target)] = std::move(to_child ? made.writing : made.reading);
    return keep(std::move(to_child ? made.reading : made.writing));
  }

  int open_file(const std::string& path, int target) {
    const int flags = target == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
    unique_fd file(::open(path.c_str(), flags | O_CLOEXEC, 0666));
    if (!file) throw os_error("open", path, errno);
    return keep(detail::above_the_first_three(std::move(file)));
  }

  int keep(unique_fd fd) {
    opened_.push_back(std::move(fd));
    return opened_.back().get();
  }

  std::vector<unique_fd> opened_;  // the child's
};

namespace {

// Why: the loop stands still while a child starts. Starts that follow each other in one turn would add up.
thread_local mutex turn_to_start;

}  // namespace

task<child> launcher::start(cmd what) {
  const mutex::guard mine = co_await turn_to_start.lock();
  co_await yield_now();
  co_await checkpoint();
  co_return start_now(std::move(what));
}

// Why an error: nobody would keep to them.
void launcher::refuse_terms_of_run(const cmd& what) {
  if (what.timeout_ != duration::max() || what.check_)
    throw std::invalid_argument("cmd: timeout() and check() are for run() and check_output(), not for spawn()");
}

// Why before anything is opened: a number that is free would be that of something of ours.
void launcher::check_descriptors(const cmd& what) {
  const auto check = [&what](const char* operation, int fd) {
    if (::fcntl(fd, F_GETFD) < 0) throw os_error(operation, what.argv_.front(), errno);
  };
  for (const int fd : what.passed_) check("pass_fd", fd);
  for (const auto& where : {what.in_, what.out_, what.err_}) {
    if (where && where->kind_ == stdio::kind::fd) check("dup2", where->fd_);
  }
}

child launcher::start_now(cmd what) {
  check_descriptors(what);
  standard_streams streams(what);
  detail::launch_plan plan = plan_of(what);
  plan.standard = streams.numbers;
  detail::launched begun = detail::launch(plan);
  detail::process_handle process(begun.pid, std::move(begun.pidfd), what.new_group_ || what.new_session_);
  detail::running* const state = adopt(std::move(process), what);
  child started(state);
  auto& [in, out, err] = streams.parents_ends;
  if (in) state->streams.in.emplace(std::move(in));
  if (out) state->streams.out.emplace(std::move(out));
  if (err) state->streams.err.emplace(std::move(err));
  state->streams.input = std::move(what.input_);
  return started;
}

// Nobody knows of the process yet: when there is no memory for who is to look after it, it goes.
detail::running* launcher::adopt(detail::process_handle process, cmd& what) {
  try {
    return new detail::running(std::move(process), std::move(what.argv_.front()), std::move(what.policy_));
  } catch (...) {
    process.send_to_all(SIGKILL);
    process.reap(0);
    throw;
  }
}

task<child_pipeline> launcher::start(std::vector<cmd> stages) {
  for (const cmd& stage : stages) check_descriptors(stage);
  auto* state = new detail::running_pipeline;
  child_pipeline started(state);
  unique_fd from_before;
  detail::raw_pipe errors;
  for (cmd& stage : stages) {
    if (from_before) stage.in(stdio::fd(from_before.get()));
    detail::raw_pipe to_next;
    if (&stage != &stages.back()) {
      to_next.open();
      stage.out(stdio::fd(to_next.writing.get()));
    }
    if (stage.err_ && stage.err_->kind_ == stdio::kind::pipe) {
      if (!errors.writing) errors.open();
      stage.err(stdio::fd(errors.writing.get()));
    }
    state->stages.push_back(co_await start(std::move(stage)));
    from_before = std::move(to_next.reading);
  }
  detail::transfers& first = state->stages.front().state_->streams;
  state->streams.in = std::move(first.in);
  state->streams.input = std::move(first.input);
  state->streams.out = std::move(state->stages.back().state_->streams.out);
  if (errors.reading) state->streams.err.emplace(std::move(errors.reading));
  co_return started;
}

detail::launch_plan launcher::plan_of(const cmd& what) {
  detail::launch_plan plan;
  plan.name = what.argv_.front();
  plan.candidates = paths_of(plan.name);
  plan.arguments = what.argv_;
  plan.environment = environment_of(what);
  plan.directory = what.cwd_ ? what.cwd_->c_str() : nullptr;
  plan.passed = what.passed_;
  plan.new_session = what.new_session_;
  plan.new_group = what.new_group_;
  return plan;
}

std::vector<std::string> launcher::environment_of(const cmd& what) {
  std::vector<std::string> variables;
  const auto is_replaced = [&](std::string_view variable) {
    const std::string_view name = variable.substr(0, variable.find('='));
    return std::any_of(what.env_.begin(), what.env_.end(), [&](const auto& own) { return own.first == name; });
  };
  for (char** at = what.inherits_env_ ? environ : nullptr; at != nullptr && *at != nullptr; ++at) {
    if (!is_replaced(*at)) variables.emplace_back(*at);
  }
  for (const auto& [name, value] : what.env_) variables.push_back(fmt::format("{}={}", name, value));
  return variables;
}

}  // namespace ringlet::process
