// says: this argument cannot be sent to another process
#include <ringlet/process_pool.hpp>

using namespace ringlet;

int next(int number);
int next_of(const int* number);

task<int> body(process_pool& pool, int number) {
#if defined(BROKEN)
  co_return co_await pool.run(next_of, &number);
#else
  co_return co_await pool.run(next, number);
#endif
}
