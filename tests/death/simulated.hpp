// Programs that break a contract: how they run a task in the simulated world.
#pragma once

#include <ringlet/testing.hpp>

/// body: (ringlet::simulation&) -> ringlet::task<>. Gives main's result, for the case that the program survives.
template <class Body>
int simulated(Body body) {
  ringlet::simulation world;
  ringlet::run(world.how(), [&] { return body(world); });
  return 0;
}
