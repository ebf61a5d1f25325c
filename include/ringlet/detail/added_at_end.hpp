// L0 base: a sum that is brought up to date however a scope is left; knows only numbers.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringlet::detail {

/// Adds `part`, as it is at the end of the scope, to `sum`.
class added_at_end {
 public:
  added_at_end(std::uint64_t& sum, const std::size_t& part) noexcept : sum_(sum), part_(part) {}
  added_at_end(const added_at_end&) = delete;
  added_at_end& operator=(const added_at_end&) = delete;
  ~added_at_end() { sum_ += part_; }

 private:
  std::uint64_t& sum_;
  const std::size_t& part_;
};

}  // namespace ringlet::detail
