// L6 surface: ringlet-info, the program that prints what this kernel and user can do; knows the probe.
// SPDX-License-Identifier: MIT
#include "uring/capabilities.hpp"

#include <ringlet/config.hpp>

#include <cstdio>

#include <fmt/core.h>

// Exit code: 0 when ringlet can run here, 1 when it cannot, 2 for a wrong call.
int main(int argc, char**) {
  if (argc > 1) {
    fmt::print(stderr,
               "usage: ringlet-info\nPrints what this kernel and user can do, and whether ringlet runs here.\n");
    return 2;
  }
  const auto found = ringlet::detail::capabilities::probe();
  fmt::print("ringlet {}.{}.{}, built with liburing {}\n", RINGLET_VERSION_MAJOR, RINGLET_VERSION_MINOR,
             RINGLET_VERSION_PATCH, RINGLET_LIBURING_VERSION);
  fmt::print("{}", found.describe());
  fmt::print("ringlet {} here\n", found.sufficient() ? "runs" : "does not run");
  return found.sufficient() ? 0 : 1;
}
