// L0 base: the exceptions that ringlet throws; knows only std::system_error.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace ringlet {

/// An operation that the operating system refused: "connect 127.0.0.1:80: connection refused".
class os_error : public std::system_error {
 public:
  /// operand: what the operation was applied to; may be empty. code: an errno value, positive.
  os_error(std::string_view operation, std::string_view operand, int code);
  /// The same, with "fd 7" for its operand.
  os_error(std::string_view operation, int fd, int code);

  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;  // Why: an exception's text must be copied without throwing, and this one's can be.
};

/// run() could not set io_uring up; what() says which of the possible reasons it is, and what mends it.
class startup_error : public std::system_error {
 public:
  /// code: an errno value, positive. explanation: the whole text.
  startup_error(int code, const std::string& explanation);

  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;
};

/// A with_timeout or with_deadline whose time was over before its work was done.
class timed_out : public std::runtime_error {
 public:
  /// With the text "timed out".
  timed_out() : std::runtime_error("timed out") {}
  using std::runtime_error::runtime_error;
};

/// Thrown where a result is asked for of a task, or of a scope, that somebody else cancelled.
/// Not to be confused with `cancelled`, which unwinds the cancelled task itself.
class task_cancelled : public std::runtime_error {
 public:
  /// With a text that speaks of a task.
  task_cancelled() : std::runtime_error("the task was cancelled before it had a result") {}
  using std::runtime_error::runtime_error;
};

}  // namespace ringlet
