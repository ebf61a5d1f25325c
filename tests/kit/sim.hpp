// Test kit: runs a test in the simulated world, in every order of tasks that we try.
#pragma once

#include "catch.hpp"
#include "to_the_end.hpp"

#include <ringlet/testing.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

namespace kit {

/// First in, first out, and then 20 shuffles; or only the one that RINGLET_SEED names.
inline std::vector<std::optional<std::uint64_t>> orders() {
  if (const char* chosen = std::getenv("RINGLET_SEED")) return {std::strtoull(chosen, nullptr, 10)};
  std::vector<std::optional<std::uint64_t>> all{std::nullopt};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) all.emplace_back(seed);
  return all;
}

inline ringlet::options with_order(ringlet::options how, const std::optional<std::uint64_t>& seed) {
  if (seed) how.seed(*seed);
  return how;
}

/// body: (ringlet::simulation&) -> ringlet::task<>. A deadlock fails the test with the tree of tasks.
template <class Body>
void in_every_order(ringlet::fault_plan faults, Body body) {
  for (const auto& seed : orders()) {
    INFO("order: " << (seed ? "RINGLET_SEED=" + std::to_string(*seed) : std::string("first in, first out")));
    ringlet::simulation world(faults);
    run_to_the_end(with_order(world.how(), seed), [&] { return body(world); });
  }
}

template <class Body>
void in_every_order(Body body) {
  in_every_order(ringlet::fault_plan(), std::move(body));
}

/// The same, first without faults and then with each kind that must make no difference.
template <class Body>
void despite_faults(Body body) {
  using namespace std::chrono_literals;
  struct kind {
    const char* name;
    ringlet::fault_plan faults;
  };
  const kind kinds[] = {
      {"none", ringlet::fault_plan()},
      {"short transfers", ringlet::fault_plan().shorten(1)},
      {"delay", ringlet::fault_plan().delay(3ms)},
      {"another order", ringlet::fault_plan().reorder(7)},
      {"interruptions", ringlet::fault_plan().interrupt(3)},
      {"ending multishots", ringlet::fault_plan().end_multishot(2)},
      {"all", ringlet::fault_plan().shorten(3).delay(1ms).reorder(11).interrupt(4).end_multishot(3)},
  };
  for (const auto& [name, faults] : kinds) {
    INFO("faults: " << name);
    in_every_order(faults, body);
  }
}

}  // namespace kit
