// says: this result cannot be sent to another process
#include <ringlet/process_pool.hpp>

#include <memory>

using namespace ringlet;

std::unique_ptr<int> make(int number);

task<int> body(process_pool& pool) {
#if defined(BROKEN)
  const auto made = co_await pool.run(make, 1);
  co_return *made;
#else
  co_return co_await pool.run([](int number) { return *make(number); }, 1);
#endif
}
