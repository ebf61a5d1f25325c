// Example: workers that share a queue of work, as with Python's queue module: who finishes early takes the next item,
// the queue holds back who brings too much, and join() waits until all of it is done.
#include <ringlet/ringlet.hpp>

#include <cstdint>

#include <fmt/core.h>

using namespace ringlet;

namespace {

std::uint64_t fib(int n) {
  return n < 2 ? static_cast<std::uint64_t>(n) : fib(n - 1) + fib(n - 2);
}

task<> work(queue<int>& numbers, priority_queue<std::uint64_t>& answers) {
  for (;;) {
    const int n = co_await numbers.get();
    const std::uint64_t answer = co_await offload(fib, n);
    co_await answers.put(answer);
    numbers.task_done();
  }
}

task<> compute() {
  queue<int> numbers(4);
  priority_queue<std::uint64_t> answers;
  const auto body = [&](nursery& n) -> task<> {
    for (int worker = 0; worker < 3; ++worker) n.spawn(work, std::ref(numbers), std::ref(answers));
    for (int i = 20; i < 30; ++i) co_await numbers.put(i);
    co_await numbers.join();
    n.cancel();  // the workers wait for more
  };
  co_await with_nursery(body);
  while (const auto least = answers.try_get()) fmt::print("{}\n", *least);
}

}  // namespace

int main() {
  run(compute);
}
