// aborts with: a cancel scope was entered twice
#include "simulated.hpp"

#include <ringlet/cancel.hpp>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    cancel_scope scope;
    co_await scope.run([&]() -> task<> { co_await scope.run([]() -> task<> { co_return; }); });
  });
}
