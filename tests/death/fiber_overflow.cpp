// dies of SIGSEGV with: the fiber of task 2 "too deep" has used up its stack of 65536 bytes
#include "simulated.hpp"

#include <ringlet/fiber.hpp>
#include <ringlet/nursery.hpp>

using namespace ringlet;

namespace {

volatile int limit = 1 << 30;

[[gnu::noinline]] int sink(int depth) {
  volatile char frame[200];
  frame[0] = static_cast<char>(depth);
  return depth == limit ? 0 : sink(depth + 1) + frame[0];
}

}  // namespace

int main() {
  return simulated([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      n.spawn(name("too deep"), [] { return in_fiber(fiber::stack_size(64 * 1024), sink, 0); });
      co_return;
    });
  });
}
