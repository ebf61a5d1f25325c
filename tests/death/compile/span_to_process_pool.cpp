// says: this argument cannot be sent to another process
#include <ringlet/process_pool.hpp>

#include <span>

using namespace ringlet;

int sum(std::span<const int> numbers);

task<int> body(process_pool& pool, std::vector<int> numbers) {
#if defined(BROKEN)
  co_return co_await pool.run(sum, std::span<const int>(numbers));
#else
  co_return co_await pool.run(sum, numbers);
#endif
}
