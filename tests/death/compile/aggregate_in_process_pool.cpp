// says on g++ 12: destroys this aggregate twice
#include <ringlet/process_pool.hpp>

using namespace ringlet;

std::size_t length(const std::array<std::string, 1>& texts);

task<std::size_t> body(process_pool& pool) {
#if defined(BROKEN)
  co_return co_await pool.run(length, std::array<std::string, 1>{"a text"});
#else
  const std::array<std::string, 1> named{"a text"};
  co_return co_await pool.run(length, named);
#endif
}
