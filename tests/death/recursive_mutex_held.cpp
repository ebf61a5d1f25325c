// aborts with: a recursive mutex was destroyed with 2 guards on it
#include "simulated.hpp"

#include <ringlet/recursive_mutex.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto m = std::make_unique<recursive_mutex>();
    const auto outer = co_await m->lock();
    const auto inner = co_await m->lock();
    m.reset();
  });
}
