// aborts with: cancel scopes must be left in the order opposite to entering
#include "simulated.hpp"

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    detail::scope outer, inner;
    outer.enter();
    inner.enter();
    outer.leave();
    co_return;
  });
}
