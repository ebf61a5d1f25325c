// Test kit: numbers drawn from a seed, the same everywhere, and tests that are repeated under many seeds.
#pragma once

#include "sim.hpp"

#include <cstdint>
#include <cstdlib>

namespace kit {

/// Splitmix64 by Steele and others.
class random {
 public:
  explicit random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t bits = state_;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
  }

  /// From 0 to limit - 1.
  std::uint64_t below(std::uint64_t limit) noexcept { return next() % limit; }
  bool one_in(std::uint64_t count) noexcept { return below(count) == 0; }

 private:
  std::uint64_t state_;
};

/// Calls body(seed) for the seeds 1 to count, or only for the one that RINGLET_SEED names.
template <class Body>
void for_each_seed(std::uint64_t count, Body body) {
  const char* chosen = std::getenv("RINGLET_SEED");
  const std::uint64_t first = chosen == nullptr ? 1 : std::strtoull(chosen, nullptr, 10);
  const std::uint64_t last = chosen == nullptr ? count : first;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("to repeat: RINGLET_SEED=" << seed);
    body(seed);
  }
}

/// body: (ringlet::simulation&, kit::random&) -> ringlet::task<>. The seed shuffles the tasks, too.
template <class Body>
void in_random_worlds(std::uint64_t count, Body body) {
  for_each_seed(count, [&](std::uint64_t seed) {
    ringlet::simulation world;
    random draw(seed);
    run_to_the_end(world.how().seed(seed), [&] { return body(world, draw); });
  });
}

}  // namespace kit
