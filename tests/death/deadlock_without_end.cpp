// aborts with: tasks that wait for nothing cannot be unwound
#include "simulated.hpp"

#include <ringlet/cancel.hpp>
#include <ringlet/event.hpp>

using namespace ringlet;

int main() {
  return simulated([](simulation&) -> task<> {
    event never_set;
    for (;;) {
      try {
        co_await shield(never_set.wait());
      } catch (const cancelled&) {  // and goes on, which a task must not do for ever
      }
    }
  });
}
