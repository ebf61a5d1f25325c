// Example: a pipeline of functions. Numbers go through a thread pool that computes, and a coroutine that takes its
// time, several of each at once, and end in one place.
#include <ringlet/ringlet.hpp>

#include <cstdint>
#include <numeric>
#include <vector>

#include <fmt/core.h>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

std::uint64_t fib(int n) {
  return n < 2 ? static_cast<std::uint64_t>(n) : fib(n - 1) + fib(n - 2);
}

task<std::uint64_t> last_digit(std::uint64_t number) {
  co_await sleep_for(1ms);  // as if another server knew it
  co_return number % 10;
}

task<> add_up() {
  std::vector<int> numbers(25);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::uint64_t sum = 0;
  const auto add = [&](std::uint64_t digit) { sum += digit; };
  co_await (from(numbers) | stage(default_pool(), fib, 2) | stage(last_digit, 8) | for_each(add));
  fmt::print("the last digits of the first 25 Fibonacci numbers add up to {}\n", sum);
}

}  // namespace

int main() {
  run(add_up);
}
