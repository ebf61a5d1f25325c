// Somebody's test, built against what is installed: an hour passes in a simulated world.
#include <ringlet/testing.hpp>

#include <chrono>
#include <cstdio>

int main() {
  ringlet::simulation world;
  const auto start = world.clock().now();
  ringlet::run(world.how(), []() -> ringlet::task<> { co_await ringlet::sleep_for(std::chrono::hours(1)); });
  const auto passed = std::chrono::duration_cast<std::chrono::seconds>(world.clock().now() - start);
  std::printf("%lld seconds\n", static_cast<long long>(passed.count()));
}
