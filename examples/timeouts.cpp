// Example: the ways to give a wait an end.
#include <ringlet/ringlet.hpp>

#include <chrono>

#include <fmt/core.h>

using namespace ringlet;
using namespace std::chrono_literals;

task<int> slow_answer() {
  co_await sleep_for(1h);
  co_return 42;
}

task<int> quick_answer() {
  co_await sleep_for(1ms);
  co_return 42;
}

task<> save_work() {
  co_await sleep_for(2ms);  // clean-up may await, although the task is being cancelled
  fmt::print("work saved\n");
}

task<> timeouts() {
  const auto nothing_came = co_await move_on_after(5ms, slow_answer());
  fmt::print("move_on_after gave {}\n", nothing_came ? "a value" : "nothing");

  fmt::print("with_timeout gave {}\n", co_await with_timeout(1s, quick_answer()));
  try {
    co_await with_timeout(5ms, slow_answer());
  } catch (const timed_out& e) {
    fmt::print("with_timeout threw: {}\n", e.what());
  }

  const auto [quick, slow] = co_await when_any(quick_answer(), slow_answer());
  fmt::print("when_any: quick {}, slow {}\n", quick ? "answered" : "did not", slow ? "answered" : "did not");

  co_await move_on_after(5ms, finally(sleep_forever(), save_work));
}

int main() {
  run(timeouts);
}
