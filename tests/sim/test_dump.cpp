// Tests of dump_tasks(), as users see it.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <string>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("dump: a wait counts from when it began, although no timer made the loop look at the clock") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [end, peer] = world.connection();
    world.script(operation::receive, end.fd(), 1, 1h);
    std::array<std::byte, 8> buffer;
    co_await end.read_some(buffer);  // takes an hour, and needs no timer
    std::string tree;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await end.read_some(buffer); });
      for (int turn = 0; turn < 2; ++turn) co_await yield_now();  // whatever the order, it waits by then
      tree = dump_tasks();
      n.cancel();
    });
    CHECK_THAT(tree, kit::contains("receive fd"));
    CHECK_THAT(tree, kit::contains("for 0.0 s"));
  });
}
