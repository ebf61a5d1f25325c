// says on g++ 12: destroys this closure twice when it is a temporary of a co_await expression
#include <ringlet/condition_variable.hpp>

#include <string>

using namespace ringlet;

task<> body(condition_variable& changed, mutex::guard& held, std::string text) {
#if defined(BROKEN)
  co_await changed.wait(held, [text] { return text.empty(); });
#else
  const auto named = [text] { return text.empty(); };
  co_await changed.wait(held, named);
#endif
}
