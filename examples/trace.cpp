// Example: what do tasks do all day? Three of them share a mutex, one computes on a thread; then the loop's trace is
// printed, or written to a file for ui.perfetto.dev: trace FILE
#include <ringlet/ringlet.hpp>

#include <fmt/core.h>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

int fib(int n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

task<> paint(mutex& brush) {
  auto guard = co_await brush.lock();
  co_await sleep_for(2ms);
}

task<> compute() {
  co_await offload(fib, 20);
}

task<> workshop() {
  mutex brush;
  auto begin = [&](nursery& n) -> task<> {
    for (const char* colour : {"red", "green", "blue"}) n.spawn(name(colour), paint, std::ref(brush));
    n.spawn(name("computer"), compute);
    co_return;
  };
  co_await with_nursery(begin);
}

}  // namespace

int main(int argc, char** argv) {
  const tracer events;
  run(workshop);
  if (argc > 1) {
    events.write_chrome_trace(argv[1]);
  } else {
    fmt::print("{}", events.text());
  }
}
