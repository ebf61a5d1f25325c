// Example: four loops, each on a thread of its own. Three look for primes, and send them to the first one.
#include <ringlet/ringlet.hpp>

#include <atomic>
#include <functional>

#include <fmt/format.h>

using namespace ringlet;

constexpr int loops = 4;

bool is_prime(unsigned n) {
  for (unsigned divisor = 2; divisor * divisor <= n; ++divisor) {
    if (n % divisor == 0) return false;
  }
  return n >= 2;
}

task<> search(mt_channel<unsigned>& found) {
  const auto first = static_cast<unsigned>(thread_index());
  for (unsigned n = first; n < 1000; n += loops - 1) {
    if (is_prime(n)) co_await found.send(n);  // while the channel is full this task waits, and its loop goes on
  }
}

task<unsigned> add_up(mt_channel<unsigned>& found) {
  unsigned sum = 0;
  while (const auto prime = co_await found.receive()) sum += *prime;
  co_return sum;
}

task<unsigned> one_of_several(mt_channel<unsigned>& found, std::atomic<int>& searching) {
  if (thread_index() == 0) co_return co_await add_up(found);
  co_await search(found);
  if (--searching == 0) found.close();
  co_return 0u;
}

int main() {
  mt_channel<unsigned> found(16);
  std::atomic<int> searching{loops - 1};
  const auto sums = run_on_threads(loops, one_of_several, std::ref(found), std::ref(searching));
  fmt::print("the primes below 1000 add up to {}\n", sums[0]);
}
