// L5 services: the commands of the monitor; knows serve, lines and what dumps know of tasks.
// SPDX-License-Identifier: MIT
#include <ringlet/monitor.hpp>

#include <ringlet/line_reader.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/serve.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/tcp_stream.hpp>
#include <ringlet/tracer.hpp>

#include "dump.hpp"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace ringlet {
namespace {

using detail::task_record;

constexpr std::size_t longest_command = 200;
constexpr std::size_t most_visitors = 16;
constexpr std::size_t most_events = 10'000;
constexpr std::string_view prompt = "ringlet> ";

constexpr std::string_view help = R"(ps         all tasks, a line each
tree       who is whose child, and where each waits
where ID   where one task waits
cancel ID  make the awaits of a task, and of all below it, throw `cancelled`
stats      tasks, turns and errors
ring       what was asked of the kernel
trace SEC  what happens in that many seconds, with milliseconds before it
quit       end this connection
)";

/// "cancel 12": a word, and what is behind it.
struct command {
  std::string_view word;
  std::string_view argument;
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

command parse(std::string_view line) {
  line = trim(line);
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  return {line.substr(0, end), trim(line.substr(end))};
}

template <class T>
std::optional<T> number_in(std::string_view text) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool all = error == std::errc() && end == text.data() + text.size();
  return all ? std::optional(number) : std::nullopt;
}

/// Calls act(task) for the task that is meant; gives the answer.
template <class F>
std::string with_task(std::string_view argument, F act) {
  const auto id = number_in<std::uint64_t>(argument);
  if (!id) return "which task? its number is in the first column of ps\n";
  task_record* const task = detail::find_task(*id);
  return task == nullptr ? fmt::format("there is no task {}\n", *id) : act(*task);
}

std::string cancel(task_record& task) {
  task.base_scope().cancel();
  return fmt::format("task {} was told\n", task.id());
}

std::string describe_stats() {
  const statistics s = this_scheduler().stats();
  return fmt::format(
      "tasks          {} (ready {}, waiting {})\n"
      "offloads       {}\n"
      "fibers         {} (most {})\n"
      "turns          {}\n"
      "errors unseen  {}\n",
      s.tasks_live, s.tasks_ready, s.tasks_waiting, s.offloads, s.fibers, s.most_fibers, s.turns, s.errors_unseen);
}

std::string describe_ring() {
  const statistics s = this_scheduler().stats();
  return fmt::format(
      "in flight     {}\n"
      "enters        {}\n"
      "sqes          {}\n"
      "cqes          {}\n"
      "cq overflows  {}\n",
      s.in_flight, s.enters, s.sqes, s.cqes, s.cq_overflows);
}

std::string answer_to(const command& c) {
  if (c.word.empty()) return {};
  if (c.word == "help") return std::string(help);
  if (c.word == "ps") return detail::list_tasks();
  if (c.word == "tree") return dump_tasks();
  if (c.word == "where") return with_task(c.argument, detail::describe_task);
  if (c.word == "cancel") return with_task(c.argument, cancel);
  if (c.word == "stats") return describe_stats();
  if (c.word == "ring") return describe_ring();
  return "there is no command of that name; try help\n";  // Why not its name: it goes to somebody's terminal
}

// Why a limit: nothing else is heard from this visitor meanwhile.
std::optional<duration> seconds_in(std::string_view text) {
  constexpr double longest = 60;
  const auto number = number_in<double>(text);
  if (!number || !(*number > 0 && *number <= longest)) return std::nullopt;
  return any_duration(std::chrono::duration<double>(*number));
}

task<std::string> trace(std::string_view argument) {
  const auto length = seconds_in(argument);
  if (!length) co_return "for how many seconds? at most 60\n";
  if (this_scheduler().observed()) co_return "this loop is traced already\n";
  const tracer events(most_events);
  co_await sleep_for(*length);
  std::string text = events.text();
  if (events.dropped() > 0) text += fmt::format("{} earlier ones are left out\n", events.dropped());
  co_return text;
}

/// Empty: that was the end.
task<std::optional<std::string>> next_answer(line_reader<tcp_stream>& lines) {
  try {
    const auto line = co_await lines.next();
    if (!line) co_return std::nullopt;
    const command c = parse(*line);
    if (c.word == "quit") co_return std::nullopt;
    if (c.word == "trace") co_return co_await trace(c.argument);
    co_return answer_to(c);
  } catch (const line_too_long&) {
    co_return "that is too long for a command; try help\n";
  }
}

task<> talk(tcp_stream visitor) {
  line_reader lines(visitor, longest_command);
  std::optional<std::string> answer = "a ringlet loop; try help\n";
  while (answer) {
    *answer += prompt;
    co_await visitor.write_all(*answer);
    answer = co_await next_answer(lines);
  }
}

}  // namespace

task<> monitor(tcp_listener listener) {
  co_await serve(std::move(listener), talk, serve_options().max_connections(most_visitors).drain(duration(0)));
}

}  // namespace ringlet
