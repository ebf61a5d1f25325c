// says: process_pool runs a function or a lambda without captures: hand over what it needs as arguments
#include <ringlet/process_pool.hpp>

using namespace ringlet;

task<int> body(process_pool& pool, int number) {
#if defined(BROKEN)
  co_return co_await pool.run([number] { return number + 1; });
#else
  co_return co_await pool.run([](int n) { return n + 1; }, number);
#endif
}
