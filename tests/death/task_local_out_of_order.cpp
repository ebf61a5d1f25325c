// aborts with: a task_local binding must end in the task where it began, and the last one first
#include "simulated.hpp"

#include <ringlet/task_local.hpp>

#include <optional>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    const task_local<int> number;
    std::optional<task_local<int>::binding> first(std::in_place, number, 1);
    const task_local<int>::binding second(number, 2);
    first.reset();
    co_return;
  });
}
