// aborts with: a cancel scope was destroyed while in use
#include "simulated.hpp"

#include <ringlet/cancel.hpp>

#include <memory>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    auto scope = std::make_unique<cancel_scope>();
    co_await scope->run([&]() -> task<> {
      scope.reset();
      co_return;
    });
  });
}
