// Example: functions in processes of their own: primes are counted by all processors at once, a function that crashes
// takes nothing with it but its worker, and one that does not come to an end is stopped.
#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

std::vector<unsigned> primes_between(unsigned first, unsigned last) {
  std::vector<unsigned> found;
  for (unsigned n = std::max(first, 2u); n < last; ++n) {
    unsigned divisor = 2;
    while (divisor * divisor <= n && n % divisor != 0) ++divisor;
    if (divisor * divisor > n) found.push_back(n);
  }
  return found;
}

task<> count_primes(process_pool& pool) {
  std::vector<task<std::vector<unsigned>>> parts;
  for (unsigned first = 0; first < 100'000; first += 10'000) {
    parts.push_back(pool.run(primes_between, first, first + 10'000));
  }
  const auto found = co_await when_all(std::move(parts));
  std::size_t count = 0;
  for (const auto& part : found) count += part.size();
  fmt::print("{} primes below 100000, the last one is {}\n", count, found.back().back());
}

std::string check(const std::string& text) {
  if (text == "crash") std::raise(SIGSEGV);
  if (text == "throw") throw std::invalid_argument("what a text");
  if (text == "sleep") std::this_thread::sleep_for(1h);
  return "a good text";
}

task<std::string> verdict(process_pool& pool, std::string text) {
  try {
    co_return co_await with_timeout(200ms, pool.run(check, text));
  } catch (const worker_died& e) {
    co_return e.status().to_string();
  } catch (const std::runtime_error& e) {  // remote_error and timed_out
    co_return e.what();
  }
}

task<> check_texts(process_pool& pool) {
  for (const char* text : {"crash", "throw", "sleep", "text"}) {
    const std::string said = co_await verdict(pool, text);
    fmt::print("{}: {}\n", text, said);
  }
}

task<> work(process_pool& pool) {
  co_await count_primes(pool);
  co_await check_texts(pool);
}

}  // namespace

int main() {
  process_pool pool;  // before run(), and before there are threads
  run(work, std::ref(pool));
}
