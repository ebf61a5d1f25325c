// aborts with: a queue was destroyed with 1 tasks waiting to join it
#include "simulated.hpp"

#include <ringlet/nursery.hpp>
#include <ringlet/queue.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto q = std::make_unique<queue<int>>(2);
    co_await q->put(1);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await q->join(); });
      co_await settle();
      q.reset();
    });
  });
}
