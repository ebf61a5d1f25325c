// aborts with: a barrier was destroyed with 1 tasks waiting
#include "simulated.hpp"

#include <ringlet/barrier.hpp>
#include <ringlet/nursery.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto b = std::make_unique<barrier>(2);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await b->arrive_and_wait(); });
      co_await settle();
      b.reset();
    });
  });
}
