// Example: ten children side by side take as long as one of them.
#include <ringlet/ringlet.hpp>

#include <chrono>

#include <fmt/core.h>

using namespace ringlet;
using process::cmd;

task<> sleep_in_a_child() {
  co_await process::run(cmd("sleep", "0.5").check());
}

task<> ten_sleeps() {
  const auto began = std::chrono::steady_clock::now();
  auto all = [](nursery& n) -> task<> {
    for (int i = 0; i < 10; ++i) n.spawn(sleep_in_a_child);
    co_return;
  };
  co_await with_nursery(all);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print("ten sleeps of half a second took {:.1f} s\n", took.count());
}

int main() {
  run(ten_sleeps);
}
