// says on g++ 12: destroys this closure twice when it is a temporary of a co_await expression
#include <ringlet/cancel.hpp>

#include <string>

using namespace ringlet;

task<> work();

task<> body(std::string text) {
#if defined(BROKEN)
  co_await finally(work(), [text]() -> task<> { co_return; });
#else
  const auto named = [text]() -> task<> { co_return; };
  co_await finally(work(), named);
#endif
}
