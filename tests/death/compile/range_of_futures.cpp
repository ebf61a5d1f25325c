// says: are handed over: std::move(range)
#include <ringlet/future.hpp>
#include <ringlet/when_all.hpp>

#include <utility>
#include <vector>

using namespace ringlet;

task<> body(std::vector<future<int>> results) {
#if defined(BROKEN)
  co_await when_all(results);
#else
  co_await when_all(std::move(results));
#endif
}
