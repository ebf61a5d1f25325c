// Example: generators that take turns: the smallest scheduler there is.
#include <ringlet/generator.hpp>

#include <cstdint>
#include <deque>
#include <utility>

#include <fmt/core.h>

using ringlet::generator;

generator<std::uint64_t> fibonacci(int count) {
  std::uint64_t current = 0;
  std::uint64_t next = 1;
  while (count-- > 0) {
    co_yield current;
    current = std::exchange(next, current + next);
  }
}

int main() {
  std::deque<generator<std::uint64_t>> tasks;
  tasks.push_back(fibonacci(5));
  tasks.push_back(fibonacci(3));

  while (!tasks.empty()) {
    generator<std::uint64_t> task = std::move(tasks.front());
    tasks.pop_front();
    if (const auto number = task.next()) {
      fmt::print("{}\n", *number);
      tasks.push_back(std::move(task));
    }
  }
}
