// Example: ten children, none of which outlives this program, whether it is interrupted or one of them fails:
// kill_all [SECONDS UNTIL ONE FAILS]
#include <ringlet/ringlet.hpp>

#include <string>

#include <fmt/core.h>

using namespace ringlet;
using process::cmd, process::sh;

task<> work(int number, std::string fails_after) {
  const bool fails = number == 10 && !fails_after.empty();
  auto worker = fails ? cmd("sleep", fails_after) : cmd("sleep", "1000");
  co_await process::run(worker.check());
  if (fails) throw std::runtime_error("the tenth has failed");
}

task<> ten_workers(std::string fails_after) {
  auto all = [&](nursery& n) -> task<> {
    for (int i = 1; i <= 10; ++i) n.spawn(work, i, fails_after);
    co_return;
  };
  fmt::print("ten children; Ctrl-C ends them all\n");
  std::fflush(stdout);
  co_await finally(with_nursery(all), []() -> task<> {
    fmt::print("all gone\n");
    co_return;
  });
}

int main(int argc, char** argv) {
  try {
    run(options().handle_signals(), ten_workers, argc > 1 ? argv[1] : "");
  } catch (const std::exception& e) {
    fmt::print(stderr, "kill_all: {}\n", e.what());
    return 1;
  }
}
