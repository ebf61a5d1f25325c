// says on g++ 12: destroys this closure twice when it is a temporary of a co_await expression
#include <ringlet/nursery.hpp>

#include <string>

using namespace ringlet;

task<> work();

task<> body(std::string text) {
#if defined(BROKEN)
  co_await with_nursery([text](nursery&) -> task<> { co_return; });
#else
  const auto named = [text](nursery&) -> task<> { co_return; };
  co_await with_nursery(named);
#endif
}
