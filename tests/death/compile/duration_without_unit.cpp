// says: sleep_for
#include <ringlet/sleep.hpp>

#include <chrono>

using namespace ringlet;

task<> body() {
#if defined(BROKEN)
  co_await sleep_for(5);
#else
  co_await sleep_for(std::chrono::milliseconds(5));
#endif
}
