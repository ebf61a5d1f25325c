// says: what is awaited only once is handed over: std::move(x)
#include <ringlet/timeout.hpp>

#include <chrono>
#include <utility>

using namespace ringlet;

task<int> work();

task<> body() {
  auto t = work();
#if defined(BROKEN)
  co_await with_timeout(std::chrono::seconds(1), t);
#else
  co_await with_timeout(std::chrono::seconds(1), std::move(t));
#endif
}
