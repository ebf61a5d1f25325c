// Example: two tasks in a nursery, and what they return.
#include <ringlet/nursery.hpp>
#include <ringlet/run.hpp>
#include <ringlet/sleep.hpp>

#include <chrono>
#include <string>

#include <fmt/core.h>

using namespace std::chrono_literals;

ringlet::task<std::size_t> greet(std::string whom, ringlet::duration pause) {
  co_await ringlet::sleep_for(pause);
  fmt::print("hello, {}\n", whom);
  co_return whom.size();
}

ringlet::task<> hello() {
  co_await ringlet::with_nursery([](ringlet::nursery& n) -> ringlet::task<> {
    auto slow = n.spawn(greet, "world", 20ms);
    auto quick = n.spawn(greet, "ring", 10ms);
    const std::size_t letters = co_await slow + co_await quick;
    fmt::print("{} letters\n", letters);
  });
}

int main() {
  ringlet::run(hello);
}
