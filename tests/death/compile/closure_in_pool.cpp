// says on g++ 12: destroys this closure twice when it is a temporary of a co_await expression
#include <ringlet/thread_pool.hpp>

#include <string>

using namespace ringlet;

task<> work();

task<> body(std::string text) {
  thread_pool pool;
#if defined(BROKEN)
  co_await pool.run([text] { return text.size(); });
#else
  co_await pool.run([](const std::string& t) { return t.size(); }, text);
#endif
}
