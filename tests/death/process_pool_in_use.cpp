// aborts with: a process_pool was shut down while 1 tasks were in run()
#include "simulated.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/process_pool.hpp>
#include <ringlet/sleep.hpp>

#include <optional>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    std::optional<process_pool> pool(std::in_place, 1u);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&] { return pool->run([] {}); });
      co_await yield_now();
      pool.reset();
    });
  });
}
