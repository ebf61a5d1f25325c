// Example: child processes, in the order in which Python's subprocess chapter shows them.
#include <ringlet/ringlet.hpp>

#include <chrono>

#include <fmt/core.h>

using namespace ringlet;
using namespace std::chrono_literals;
using process::cmd, process::sh, process::stdio;

task<> run_and_capture() {
  const auto done = co_await process::run(cmd("echo", "Hello from the child!"));
  fmt::print("captured: {}", done.out);
  fmt::print("status: {}\n", done.status.to_string());
}

task<> check() {
  try {
    co_await process::check_output(sh("echo 'no such luck' >&2; exit 3"));
  } catch (const process::called_process_error& e) {
    fmt::print("{}, and it said: {}", e.what(), e.err());
  }
}

task<> poll_while_it_works() {
  auto child = co_await process::spawn(cmd("sleep", "0.25"));
  while (!child.poll()) {
    fmt::print("Working...\n");
    co_await sleep_for(100ms);
  }
  fmt::print("{}\n", child.poll()->to_string());
}

task<> talk() {
  auto child = co_await process::spawn(cmd("tr", "a-z", "A-Z").in(stdio::pipe()).out(stdio::pipe()));
  const auto said = co_await child.communicate("what goes in comes out\n");
  fmt::print("{}", said.out);
}

task<> time_out() {
  auto child = co_await process::spawn(cmd("sleep", "10"));
  const auto ended = co_await move_on_after(100ms, child.wait());
  if (!ended) {
    fmt::print("still there after 100 ms, so: terminate\n");
    child.terminate();
  }
  const auto end = co_await child.wait();
  fmt::print("{}\n", end.to_string());
}

task<> count_lines() {
  const auto count =
      co_await process::check_output(cmd("printf", "b\\na\\nb\\n") | cmd("sort", "-u") | cmd("wc", "-l"));
  fmt::print("lines that differ: {}", count);
}

task<> tour() {
  co_await run_and_capture();
  co_await check();
  co_await poll_while_it_works();
  co_await talk();
  co_await time_out();
  co_await count_lines();
}

int main() {
  run(tour);
}
