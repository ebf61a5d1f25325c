// L5 services: child, and children that run to their end, alone or in a pipeline; knows how they are started and run.
// SPDX-License-Identifier: MIT
#include <ringlet/process.hpp>

#include <ringlet/cancel.hpp>
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
  co_await checkpoint();
  co_return launcher::start(what);
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
    job_of_run job(std::move(stages));
    co_return co_await job.run_and_capture();
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

  explicit job_of_run(std::vector<cmd> stages) : stages_(std::move(stages)) {}

  task<completed> run_and_capture() {
    co_await checkpoint();
    start_all();
    outcome<std::optional<completed>> result;
    {
      auto work = move_on_after(time_limit(), communicate());
      result = co_await as_outcome(std::move(work));
    }
    if (!result.has_value()) co_await stop_all();
    std::optional<completed> done = result.take();
    if (!done) {
      completed late = co_await stop_late();
      throw timed_out(name(), std::move(late));
    }
    const bool checked = std::any_of(stages_.begin(), stages_.end(), [](const cmd& c) { return c.check_; });
    if (checked && !done->ok()) throw called_process_error(name(), std::move(*done));
    co_return std::move(*done);
  }

  // Those that have begun are killed and reaped when a later one cannot begin.
  void start_all() {
    unique_fd from_before;
    detail::raw_pipe errors;
    for (cmd& stage : stages_) {
      const bool is_last = &stage == &stages_.back();
      if (from_before) stage.in(stdio::fd(from_before.get()));
      detail::raw_pipe to_next;
      if (!is_last) {
        to_next.open();
        stage.out(stdio::fd(to_next.writing.get()));
      } else if (!stage.out_) {
        stage.out(stdio::pipe());
      }
      const bool captures_errors = !stage.err_ || stage.err_->kind_ == stdio::kind::pipe;
      if (captures_errors && !errors.writing) errors.open();
      if (captures_errors) stage.err(stdio::fd(errors.writing.get()));
      children_.push_back(launcher::start(stage));
      from_before = std::move(to_next.reading);
    }
    streams_.in = std::move(children_.front().state_->streams.in);
    streams_.out = std::move(children_.back().state_->streams.out);
    if (errors.reading) streams_.err.emplace(std::move(errors.reading));
  }

  duration time_limit() const noexcept {
    duration shortest = duration::max();
    for (const cmd& stage : stages_) shortest = std::min(shortest, stage.timeout_);
    return shortest;
  }

  std::string name() const {
    std::string text;
    for (const cmd& stage : stages_) text += (text.empty() ? "" : " | ") + stage.argv_.front();
    return text;
  }

  task<completed> communicate() {
    co_await streams_.go_on(std::move(stages_.front().input_).value_or(std::string()));
    for (child& each : children_) co_await each.wait();
    co_return ends();
  }

  /// Only when all have ended.
  completed ends() {
    completed result(*children_.back().poll());
    result.stages.clear();
    for (child& each : children_) {
      result.stages.push_back(*each.poll());
      if (!result.stages.back().ok()) result.status = result.stages.back();
    }
    streams_.give_captured(result);
    return result;
  }

  task<> stop_all() {
    const auto all = [this](nursery& n) -> task<> {
      for (child& each : children_) n.spawn([](child* c) -> task<> { co_await c->stop(); }, borrowed(&each));
      co_return;
    };
    co_await shield(with_nursery(all));
  }

  // What they write while they are being stopped is captured as well; but nobody waits long for what others hold open.
  task<completed> stop_late() {
    co_await stop_all();
    co_await shield(move_on_after(after_the_end, streams_.go_on({})));
    co_return ends();
  }

  std::vector<cmd> stages_;
  std::vector<child> children_;
  detail::transfers streams_;
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
