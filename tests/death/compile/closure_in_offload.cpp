// says on g++ 12: destroys this closure twice when it is a temporary of a co_await expression
#include <ringlet/offload.hpp>

#include <string>

using namespace ringlet;

task<> work();

task<> body(std::string text) {
#if defined(BROKEN)
  co_await offload([text] { return text.size(); });
#else
  co_await offload([](const std::string& t) { return t.size(); }, text);
#endif
}
