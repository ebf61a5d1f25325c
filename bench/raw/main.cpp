// Bench: the hand-written echo servers in one program: raw_echo STYLE
#include "../descriptors.hpp"
#include "listener.hpp"
#include "servers.hpp"

#include <string_view>

#include <fmt/core.h>

namespace {

bool serve(std::string_view style, int listener) {
  if (style == "epoll") {
    bench::serve_epoll(listener);
  } else if (style == "poll") {
    bench::serve_poll(listener);
  } else if (style == "one_shot") {
    bench::serve_one_shot(listener);
  } else if (style == "incremental") {
    bench::serve_multishot(listener, {4, 256 * 1024, true, false});
  } else if (style == "direct") {
    bench::serve_multishot(listener, {4, 256 * 1024, true, true});
  } else if (style == "plain") {
    bench::serve_multishot(listener, {256, 4 * 1024, false, false});
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    bench::listen_to_signals();
    bench::allow_many_descriptors();
    if (argc == 2 && serve(argv[1], bench::listen_on_loopback())) return 0;
    fmt::print(stderr, "raw_echo epoll|poll|one_shot|incremental|direct|plain\n");
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "raw_echo: {}\n", e.what());
    return 1;
  }
}
