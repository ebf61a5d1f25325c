// says on g++ 12: destroys this aggregate twice
#include <ringlet/channel.hpp>

#include <string>
#include <utility>

using namespace ringlet;

struct request {
  std::string text;
};

task<> body(channel<request>& requests) {
#if defined(BROKEN)
  co_await requests.send(request{"a text"});
#else
  request named{"a text"};
  co_await requests.send(named);
  co_await requests.send(std::in_place, std::move(named));
#endif
}
