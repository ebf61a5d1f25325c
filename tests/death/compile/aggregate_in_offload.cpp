// says on g++ 12: destroys this aggregate twice
#include <ringlet/offload.hpp>

#include <string>

using namespace ringlet;

struct request {
  std::string text;
};

std::size_t length(request r);

task<> body() {
#if defined(BROKEN)
  co_await offload(length, request{"a text"});
#else
  request named{"a text"};
  co_await offload(length, named);
#endif
}
