// L5 services: child, and children that run to their end, alone or in a pipeline; knows how they are started and run.
// SPDX-License-Identifier: MIT
#include <ringlet/process.hpp>

#include <ringlet/cancel.hpp>
#include <ringlet/detail/check.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include "running.hpp"
#include "start_child.hpp"

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include <fmt/format.h>

namespace ringlet::process {

using ringlet::detail::as_outcome;
using ringlet::detail::outcome;

child::~child() {
  delete state_;
}

namespace {

template <class End>
End& end_of_pipe(std::optional<End>& end, const char* which) {
  if (!end) throw std::logic_error(fmt::format("child: its {} is no pipe, or was closed by communicate()", which));
  return *end;
}

}  // namespace

pipe_writer& child::in() {
  return end_of_pipe(state_->streams.in, "input");
}
pipe_reader& child::out() {
  return end_of_pipe(state_->streams.out, "output");
}
pipe_reader& child::err() {
  return end_of_pipe(state_->streams.err, "error output");
}
int child::pid() const noexcept {
  return state_->process().pid();
}
std::optional<status> child::poll() {
  return state_->poll();
}
task<status> child::wait() {
  return state_->wait();
}
task<status> child::stop() {
  co_return co_await shield(state_->stop());
}
task<completed> child::communicate(std::string input) {
  return state_->communicate(std::move(input));
}

void child::terminate() {
  send_signal(SIGTERM);
}
void child::kill() {
  send_signal(SIGKILL);
}
void child::send_signal(int number) {
  const int error = state_->process().send(number);
  if (error != 0) throw os_error("send signal to process", std::to_string(pid()), error);
}

task<child> spawn(cmd what) {
  launcher::refuse_terms_of_run(what);
  return launcher::start(std::move(what));
}

// --- child_pipeline

child_pipeline::~child_pipeline() {
  delete state_;
}

pipe_writer& child_pipeline::in() {
  return end_of_pipe(state_->streams.in, "input");
}
pipe_reader& child_pipeline::out() {
  return end_of_pipe(state_->streams.out, "output");
}
pipe_reader& child_pipeline::err() {
  return end_of_pipe(state_->streams.err, "error output");
}
std::size_t child_pipeline::size() const noexcept {
  return state_->stages.size();
}
child& child_pipeline::stage(std::size_t number) noexcept {
  RINGLET_CHECK(number < size(), "stage {} of a pipeline of {}", number, size());
  return state_->stages[number];
}
std::optional<completed> child_pipeline::poll() {
  return state_->poll();
}
task<completed> child_pipeline::wait() {
  return state_->wait();
}
task<completed> child_pipeline::stop() {
  co_return co_await shield(state_->stop());
}
task<completed> child_pipeline::communicate(std::string input) {
  return state_->communicate(std::move(input));
}

void child_pipeline::terminate() {
  send_signal(SIGTERM);
}
void child_pipeline::kill() {
  send_signal(SIGKILL);
}
void child_pipeline::send_signal(int number) {
  state_->send_signal(number);
}

task<child_pipeline> spawn(pipeline stages) {
  for (const cmd& stage : stages.stages_) launcher::refuse_terms_of_run(stage);
  return launcher::start(std::move(stages.stages_));
}

// --- Running to the end

pipeline operator|(cmd first, cmd second) {
  pipeline stages;
  stages.stages_.push_back(std::move(first));
  return std::move(stages) | std::move(second);
}

pipeline operator|(pipeline stages, cmd next) {
  cmd& before = stages.stages_.back();
  if (before.out_) throw std::invalid_argument("pipeline: the output of a stage goes to the next one");
  if (next.in_ || next.input_) throw std::invalid_argument("pipeline: a stage reads what the one before writes");
  stages.stages_.push_back(std::move(next));
  return stages;
}

/// Programs that run side by side until all have ended.
class job_of_run {
 public:
  static task<completed> run(std::vector<cmd> stages) {
    job_of_run job(stages);
    child_pipeline children = co_await launcher::start(std::move(stages));
    co_return co_await job.run_to_the_end(children);
  }
  static task<completed> run(pipeline stages) { return run(std::move(stages.stages_)); }

  static task<std::string> output_of(std::vector<cmd> stages) {
    stages.front().check();
    completed done = co_await run(std::move(stages));
    co_return std::move(done.out);
  }
  static task<std::string> output_of(pipeline stages) { return output_of(std::move(stages.stages_)); }

 private:
  static constexpr auto after_the_end = std::chrono::milliseconds(100);

  explicit job_of_run(std::vector<cmd>& stages) {
    for (cmd& stage : stages) {
      if (!stage.err_) stage.err(stdio::pipe());
      name_ += (name_.empty() ? "" : " | ") + stage.argv_.front();
      time_limit_ = std::min(time_limit_, stage.timeout_);
      checks_ = checks_ || stage.check_;
    }
    cmd& last = stages.back();
    if (!last.out_) last.out(stdio::pipe());
  }

  task<completed> run_to_the_end(child_pipeline& children) const {
    outcome<std::optional<completed>> result;
    {
      auto work = move_on_after(time_limit_, children.communicate());
      result = co_await as_outcome(std::move(work));
    }
    if (!result.has_value()) co_await children.stop();
    std::optional<completed> done = result.take();
    if (!done) {
      completed late = co_await stop_late(children);
      throw timed_out(name_, std::move(late));
    }
    if (checks_ && !done->ok()) throw called_process_error(name_, std::move(*done));
    co_return std::move(*done);
  }

  // What they write while they are being stopped is captured as well; but nobody waits long for what others hold open.
  static task<completed> stop_late(child_pipeline& children) {
    co_await children.stop();
    co_await shield(move_on_after(after_the_end, children.state_->streams.go_on({})));
    co_return children.state_->ends_and_captured();
  }

  std::string name_;
  duration time_limit_ = duration::max();
  bool checks_ = false;
};

namespace {

std::vector<cmd> alone(cmd what) {
  std::vector<cmd> one;
  one.push_back(std::move(what));
  return one;
}

}  // namespace

task<completed> run(cmd what) {
  return job_of_run::run(alone(std::move(what)));
}
task<completed> run(pipeline stages) {
  return job_of_run::run(std::move(stages));
}
task<std::string> check_output(cmd what) {
  return job_of_run::output_of(alone(std::move(what)));
}
task<std::string> check_output(pipeline stages) {
  return job_of_run::output_of(std::move(stages));
}

}  // namespace ringlet::process
