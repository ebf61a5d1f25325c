// aborts with: a queue was destroyed with 1 tasks waiting
#include "simulated.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/queue.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto q = std::make_unique<queue<int>>(2);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await q->get(); });
      co_await settle();
      q.reset();
    });
  });
}
