// L2 scheduler: the ticker; knows only the scheduler.
// SPDX-License-Identifier: MIT
#include <ringlet/sleep.hpp>

#include <stdexcept>

namespace ringlet {

ticker::ticker(any_duration period) : period_(period) {
  if (period_ <= duration::zero()) throw std::invalid_argument("a ticker's period must be more than zero");
  next_ = detail::later(detail::this_loop().now(), period);
}

ticker::awaiter ticker::next() noexcept {
  const time_point now = detail::this_loop().now();
  if (next_ < now) next_ += (now - next_) / period_ * period_;
  return {*this, next_};
}

}  // namespace ringlet
