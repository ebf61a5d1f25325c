// aborts with: an async_generator was awaited while another await of it ran
#include "simulated.hpp"

#include <ringlet/async_generator.hpp>
#include <ringlet/when_all.hpp>

using namespace ringlet;

async_generator<int> slow() {
  co_await sleep_for(std::chrono::seconds(1));
  co_yield 1;
}

int main() {
  return simulated([](simulation&) -> task<> {
    async_generator<int> values = slow();
    co_await when_all(values.next(), values.next());
  });
}
