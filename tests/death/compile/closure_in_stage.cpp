// says on g++ 12: destroys this closure twice when it is a temporary of a co_await expression
#include <ringlet/pipeline.hpp>

#include <string>
#include <vector>

using namespace ringlet;

task<> body(std::vector<int> numbers, std::string text) {
  const auto forget = [](const std::string&) {};
#if defined(BROKEN)
  co_await (from(numbers) | stage([text](int) { return text; }) | for_each(forget));
#else
  const auto named = [text](int) { return text; };
  co_await (from(numbers) | stage(named) | for_each(forget));
#endif
}
