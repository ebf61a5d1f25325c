// Test kit: what a test must leave as it found it: descriptors, threads, children and coroutine frames.
#pragma once

#include <cstddef>
#include <set>
#include <string>

namespace kit {

struct leaks {
  std::set<int> descriptors;
  int threads = 0;
  bool children = false;
  std::size_t frames = 0;  // coroutine frames and task records of this thread

  static leaks now();

  /// What there is more of than before; empty: nothing. Gives threads that are ending a moment to be gone.
  static std::string settled_since(const leaks& before);

 private:
  static std::string since(const leaks& before);
};

}  // namespace kit
