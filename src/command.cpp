// L5 services: what a command describes, and what is said of one that went wrong; knows only text.
// SPDX-License-Identifier: MIT
#include <ringlet/process.hpp>

#include <atomic>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace ringlet::process {

namespace {

constexpr std::string_view nul("\0", 1);

void refuse_nul(std::string_view what, std::string_view text) {
  if (text.find(nul) == text.npos) return;
  throw std::invalid_argument(fmt::format("cmd: {} has a NUL character in it", what));
}

}  // namespace

std::string status::to_string() const {
  if (exited()) return fmt::format("exit code {}", number_);
  if (signaled()) return fmt::format("signal {} ({})", number_, ::strsignal(number_));
  return "unknown";
}

kill_policy term_then_kill(any_duration grace) noexcept {
  return {SIGTERM, grace};
}

cmd& cmd::arg(std::string text) {
  refuse_nul("an argument", text);
  if (argv_.empty() && text.empty()) throw std::invalid_argument("cmd: the program has no name");
  argv_.push_back(std::move(text));
  return *this;
}

cmd& cmd::env(std::string name, std::string value) {
  refuse_nul("a variable's name", name);
  refuse_nul("a variable", value);
  if (name.empty() || name.find('=') != name.npos) {
    throw std::invalid_argument(fmt::format("cmd: \"{}\" cannot be the name of a variable", name));
  }
  std::erase_if(env_, [&](const auto& variable) { return variable.first == name; });
  env_.emplace_back(std::move(name), std::move(value));
  return *this;
}

cmd& cmd::clear_env() {
  inherits_env_ = false;
  return *this;
}

cmd& cmd::cwd(std::string path) {
  refuse_nul("the working directory", path);
  cwd_ = std::move(path);
  return *this;
}

cmd& cmd::input(std::string bytes) {
  input_ = std::move(bytes);
  return *this;
}

cmd& cmd::in(stdio where) {
  in_ = std::move(where);
  return *this;
}

cmd& cmd::out(stdio where) {
  out_ = std::move(where);
  return *this;
}

cmd& cmd::err(stdio where) {
  err_ = std::move(where);
  return *this;
}

cmd& cmd::timeout(any_duration limit) {
  timeout_ = limit;
  return *this;
}

cmd& cmd::check(bool on) {
  check_ = on;
  return *this;
}

cmd& cmd::new_session(bool on) {
  new_session_ = on;
  return *this;
}

cmd& cmd::new_group(bool on) {
  new_group_ = on;
  return *this;
}

cmd& cmd::pass_fd(int fd) {
  if (fd < 3)
    throw std::invalid_argument("cmd: pass_fd() is for descriptors from 3 on; in(), out() and err() for others");
  passed_.push_back(fd);
  return *this;
}

cmd& cmd::kill_policy(process::kill_policy how) {
  policy_ = std::move(how);
  return *this;
}

cmd sh(std::string line) {
  cmd shell("/bin/sh", "-c", std::move(line));
  shell.new_group();
  return shell;
}

namespace {

std::string text_of_failure(const std::string& program, const completed& result) {
  return fmt::format("{}: {}", program, result.status.to_string());
}

}  // namespace

struct detail::shared_result::counted_result {
  explicit counted_result(completed r) : result(std::move(r)) {}
  completed result;
  std::atomic<int> references{1};
};

detail::shared_result::shared_result(completed result) : result_(new counted_result(std::move(result))) {}
detail::shared_result::shared_result(const shared_result& other) noexcept : result_(other.result_) {
  result_->references.fetch_add(1, std::memory_order_relaxed);
}
detail::shared_result::~shared_result() {
  if (result_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete result_;
}
const completed& detail::shared_result::get() const noexcept {
  return result_->result;
}

called_process_error::called_process_error(const std::string& program, completed result)
    : std::runtime_error(text_of_failure(program, result)), result_(std::move(result)) {}

timed_out::timed_out(const std::string& program, completed result)
    : ringlet::timed_out(program + ": timed out"), result_(std::move(result)) {}

}  // namespace ringlet::process
