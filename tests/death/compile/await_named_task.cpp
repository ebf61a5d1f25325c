// says: A task is awaited once, as an rvalue
#include <ringlet/task.hpp>

#include <utility>

using namespace ringlet;

task<int> work();

task<> body() {
  auto t = work();
#if defined(BROKEN)
  co_await t;
#else
  co_await std::move(t);
#endif
}
