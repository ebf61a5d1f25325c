// L5 services: what is said of a message that ends too early.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/serialize.hpp>

#include <stdexcept>

namespace ringlet::detail {

void throw_cut_off() {
  throw std::runtime_error("a message from another process ends too early");
}

}  // namespace ringlet::detail
