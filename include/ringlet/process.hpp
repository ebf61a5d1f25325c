// L5 services: child processes and pipelines of them; knows pipes, cancel scopes and how a program is started.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/hook.hpp>
#include <ringlet/error.hpp>
#include <ringlet/pipe.hpp>
#include <ringlet/task.hpp>
#include <ringlet/time.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Child processes. A program is started with an argument vector, never through a shell unless sh() is asked for.
namespace ringlet::process {

/// How a process ended.
class status {
 public:
  static status of_exit(int code) noexcept { return {how::exited, code}; }
  static status of_signal(int number) noexcept { return {how::signaled, number}; }
  /// Somebody else has reaped the process, or SIGCHLD is ignored: that it has ended is all that is known.
  static status of_unknown() noexcept { return {how::unknown, 0}; }

  /// True when it ended by itself; code() counts then, 0 to 255.
  bool exited() const noexcept { return how_ == how::exited; }
  int code() const noexcept { return exited() ? number_ : -1; }
  /// True when a signal ended it; signal() counts then.
  bool signaled() const noexcept { return how_ == how::signaled; }
  int signal() const noexcept { return signaled() ? number_ : 0; }
  /// True for exit code 0.
  bool ok() const noexcept { return exited() && number_ == 0; }
  /// "exit code 3", "signal 9 (Killed)", "unknown".
  std::string to_string() const;

  friend bool operator==(const status&, const status&) = default;

 private:
  enum class how : unsigned char { exited, signaled, unknown };
  status(how h, int number) noexcept : how_(h), number_(number) {}

  how how_;
  int number_;
};

/// Where one of a child's first three descriptors leads.
class stdio {
 public:
  /// To a new pipe, whose other end the parent has.
  static stdio pipe() { return stdio(kind::pipe); }
  /// Where the parent's own leads.
  static stdio inherit() { return stdio(kind::inherit); }
  /// To /dev/null.
  static stdio null() { return stdio(kind::null); }
  /// To a file: read as input; as output it is made, or emptied.
  static stdio file(std::string path) { return stdio(kind::file, std::move(path)); }
  /// To an open descriptor, which the caller keeps, until the child has been started.
  static stdio fd(int number) { return stdio(kind::fd, {}, number); }
  /// Only for errors: where the output leads.
  static stdio to_stdout() { return stdio(kind::to_stdout); }

 private:
  friend class standard_streams;
  friend class launcher;
  enum class kind : unsigned char { pipe, inherit, null, file, fd, to_stdout };
  explicit stdio(kind k, std::string path = {}, int fd = -1) : kind_(k), path_(std::move(path)), fd_(fd) {}

  kind kind_;
  std::string path_;
  int fd_;
};

namespace detail {
class running;
class running_pipeline;
}  // namespace detail

/// How a process is stopped that has to end: a signal, time to follow it, then SIGKILL.
class kill_policy {
 public:
  /// grace: how long it has to follow the signal.
  kill_policy(int first_signal, any_duration grace) noexcept : signal_(first_signal), grace_(grace) {}
  int first_signal() const noexcept { return signal_; }
  duration grace() const noexcept { return grace_; }

  /// Called once, with its number and its program's name, when a process has outlasted the grace and SIGKILL is sent;
  /// must not throw. default: nobody is told.
  kill_policy& on_kill(ringlet::detail::hook<void(int, std::string_view)> hook) noexcept {
    on_kill_ = std::move(hook);
    return *this;
  }

 private:
  friend class detail::running;

  int signal_;
  duration grace_;
  ringlet::detail::hook<void(int, std::string_view)> on_kill_;
};

/// SIGTERM, and SIGKILL after `grace`.
kill_policy term_then_kill(any_duration grace) noexcept;

class pipeline;

/// A program to run, its arguments, and all that it is to find. Describes only: run() and spawn() take copies.
/// errors: of the functions that take text: std::invalid_argument for a NUL in it.
class cmd {
 public:
  /// program: a path with a slash in it is taken as it is; a name is looked for in the parent's PATH, in the current
  /// directory only if PATH says so by name. The arguments reach the child as they are.
  template <class... Args>
  explicit cmd(std::string program, Args&&... args) {
    arg(std::move(program));
    (arg(std::string(std::forward<Args>(args))), ...);
  }

  cmd& arg(std::string text);
  template <class Range>
  cmd& args(const Range& texts) {
    for (const auto& text : texts) arg(std::string(text));
    return *this;
  }

  /// Adds or replaces a variable in the child's environment, which is a copy of the parent's. errors:
  /// std::invalid_argument for an empty name or one with "=" in it.
  cmd& env(std::string name, std::string value);
  /// The environment is to have nothing but what env() adds.
  cmd& clear_env();
  /// The child's working directory. default: the parent's.
  cmd& cwd(std::string path);

  /// What the child reads as its input: in() is a pipe, which run() and communicate() feed. errors: of starting it:
  /// std::invalid_argument when in() is to lead elsewhere.
  cmd& input(std::string bytes);
  /// default: inherit.
  cmd& in(stdio where);
  /// default: inherit; of run() and check_output(), a pipe.
  cmd& out(stdio where);
  cmd& err(stdio where);

  /// Of run() and check_output(): how long the child may take. default: for ever.
  cmd& timeout(any_duration limit);
  /// Of run() and check_output(): a status other than exit code 0 is a called_process_error.
  cmd& check(bool on = true);
  /// The child leads a session of its own, without a terminal.
  cmd& new_session(bool on = true);
  /// The child leads a process group of its own, so that what stops it reaches its children, too.
  cmd& new_group(bool on = true);
  /// The child inherits this descriptor, which the caller keeps, under its number; 3 or more.
  cmd& pass_fd(int fd);
  /// How it is stopped on a timeout or a cancel request. default: term_then_kill(5 s).
  cmd& kill_policy(process::kill_policy how);

 private:
  friend class launcher;
  friend class standard_streams;
  friend class job_of_run;
  friend class pipeline;
  friend pipeline operator|(pipeline stages, cmd next);

  std::vector<std::string> argv_;
  std::vector<std::pair<std::string, std::string>> env_;
  std::optional<std::string> cwd_;  // empty: the parent's
  std::optional<std::string> input_;
  std::optional<stdio> in_, out_, err_;  // empty: the default
  duration timeout_ = duration::max();
  bool inherits_env_ = true;
  bool check_ = false;
  bool new_session_ = false;
  bool new_group_ = false;
  std::vector<int> passed_;
  process::kill_policy policy_ = term_then_kill(std::chrono::seconds(5));
};

/// A command line for /bin/sh, in a group of its own. Never put text of strangers into it: nothing makes that safe.
cmd sh(std::string line);

/// What a child has left behind.
struct completed {
  explicit completed(process::status s) : status(s), stages{s} {}

  process::status status;               // of a pipeline: that of the last stage which failed, or of the last one
  std::string out;                      // what run() or communicate() has read; empty unless it was a pipe
  std::string err;                      // the same; a pipeline's stages all write here
  std::vector<process::status> stages;  // of a pipeline; else one

  /// All stages have ended with exit code 0.
  bool ok() const noexcept { return status.ok(); }
};

namespace detail {

/// What an exception says of children. Why shared: exceptions are copied, and that must not throw.
class shared_result {
 public:
  explicit shared_result(completed result);
  shared_result(const shared_result& other) noexcept;
  shared_result& operator=(const shared_result&) = delete;
  ~shared_result();
  const completed& get() const noexcept;

 private:
  struct counted_result;
  counted_result* result_;
};

}  // namespace detail

/// A child that was to be checked has ended with something other than exit code 0.
class called_process_error : public std::runtime_error {
 public:
  called_process_error(const std::string& program, completed result);
  const process::status& status() const noexcept { return result_.get().status; }
  const std::string& out() const noexcept { return result_.get().out; }
  const std::string& err() const noexcept { return result_.get().err; }

 private:
  detail::shared_result result_;
};

/// A child has taken longer than its timeout, and was stopped.
class timed_out : public ringlet::timed_out {
 public:
  timed_out(const std::string& program, completed result);
  /// What it had written by then, and how it ended.
  const completed& captured() const noexcept { return result_.get(); }

 private:
  detail::shared_result result_;
};

/// A running child process. One that is destroyed is killed, if it still runs, and reaped. threads: the loop's.
/// lifetime: outlives the awaits of its members.
class child {
 public:
  child(child&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  child& operator=(child&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~child();

  /// The parent's ends of its pipes. errors: std::logic_error where that one is no pipe.
  pipe_writer& in();
  pipe_reader& out();
  pipe_reader& err();

  int pid() const noexcept;

  /// The status, if it has ended. Never suspends.
  std::optional<status> poll();
  /// Waits for its end; any number of tasks may, and again. cancel: safe; it runs on.
  task<status> wait();

  /// Writes `input`, or the cmd's own, to its pipe and closes that, reads its other pipes to their ends, and waits for
  /// its end. A child that does not read its input is no error. Its output ends when all have closed it who had it, its
  /// own children included. cancel: safe; a later communicate() goes on where this one ended, with the same input.
  task<completed> communicate(std::string input = {});

  /// errors: os_error. One that has ended is no error.
  void send_signal(int number);
  /// SIGTERM.
  void terminate();
  /// SIGKILL.
  void kill();
  /// Stops it, and its group if it leads one, as its kill policy says. When it has ended, the rest of its group is
  /// killed at once. cancel: shielded; it ends soon.
  task<status> stop();

 private:
  friend class launcher;
  friend class detail::running_pipeline;
  explicit child(detail::running* state) noexcept : state_(state) {}

  detail::running* state_;  // null after a move
};

/// Starts the program. The loop stands still until the new program has begun, some hundred microseconds; at most one
/// starts in a turn, in the order of asking, so that others run in between.
/// errors: os_error, "exec nosuch: no such file or directory", "chdir /nosuch: ..."; std::invalid_argument for what
/// only run() can keep to: timeout(), check(). Then nothing is left behind. cancel: before it starts. source: vfork(2),
/// pidfd_open(2).
task<child> spawn(cmd what);

/// Runs the program to its end; captures its output and errors unless they are to go elsewhere.
/// errors: as spawn(); called_process_error with check(); process::timed_out. cancel: the child is stopped as its kill
/// policy says, and reaped, before the await ends.
task<completed> run(cmd what);

/// What it writes to its output. errors: as run() of a cmd with check().
task<std::string> check_output(cmd what);

class child_pipeline;

/// Programs that each read what the one before writes: cmd("a") | cmd("b") | cmd("c"). errors: of `|`:
/// std::invalid_argument where the output, or the input, is to go elsewhere.
class pipeline {
 public:
  friend pipeline operator|(cmd first, cmd second);
  friend pipeline operator|(pipeline stages, cmd next);

 private:
  friend class job_of_run;
  friend task<child_pipeline> spawn(pipeline stages);
  pipeline() = default;
  std::vector<cmd> stages_;
};

pipeline operator|(cmd first, cmd second);
pipeline operator|(pipeline stages, cmd next);

/// The running children of a pipeline. When it is destroyed, those that still run are killed, and reaped. threads: the
/// loop's. lifetime: outlives the awaits of its members.
class child_pipeline {
 public:
  child_pipeline(child_pipeline&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  child_pipeline& operator=(child_pipeline&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~child_pipeline();

  /// The parent's ends of the pipes: to the first stage; from the last one; from all whose err() is to be a pipe.
  /// errors: std::logic_error where that one is no pipe.
  pipe_writer& in();
  pipe_reader& out();
  pipe_reader& err();

  /// The number of stages.
  std::size_t size() const noexcept;
  /// The child of one stage, without its pipes; 0 is the first.
  child& stage(std::size_t number) noexcept;

  /// Every stage's status, if all have ended. Never suspends.
  std::optional<completed> poll();
  /// Waits until all have ended; any number of tasks may, and again. cancel: safe; they run on.
  task<completed> wait();
  /// As that of a child. cancel: as that of a child.
  task<completed> communicate(std::string input = {});

  /// To all that have not ended. errors: os_error, when all others have got it.
  void send_signal(int number);
  /// SIGTERM.
  void terminate();
  /// SIGKILL.
  void kill();
  /// Stops all at once, each as its kill policy says. cancel: shielded; they end soon.
  task<completed> stop();

 private:
  friend class launcher;
  friend class job_of_run;
  explicit child_pipeline(detail::running_pipeline* state) noexcept : state_(state) {}

  detail::running_pipeline* state_;  // null after a move
};

/// Starts all stages, which run side by side. errors: as spawn() of a cmd; then none is left. cancel: before one
/// starts; then none is left.
task<child_pipeline> spawn(pipeline stages);

/// Runs all stages side by side. The shortest timeout() and any check() count for all; out() is the last one's, err()
/// each stage's own. errors: as run() of a cmd. cancel: as run() of a cmd.
task<completed> run(pipeline stages);
/// As that of a cmd.
task<std::string> check_output(pipeline stages);

}  // namespace ringlet::process
