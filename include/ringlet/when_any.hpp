// L3 scopes: several awaits at once, of which the first to end ends the others; knows nurseries.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/join.hpp>

namespace ringlet {

namespace detail {

template <class... A>
task<std::tuple<std::optional<stored<await_result<A>>>...>> take_finished(A... awaitables) {
  auto results = co_await join(join_until::one_done, std::move(awaitables)...);
  const bool finished = std::apply([](auto&... result) { return (result.has_value() || ...); }, results);
  if (!finished) throw cancelled{};
  co_return std::apply(
      [](auto&... result) { return std::tuple<std::optional<stored<await_result<A>>>...>(take_optional(result)...); },
      results);
}

template <class Range>
task<std::vector<std::optional<stored<await_result<range_element<Range>>>>>> take_finished_of(Range awaitables) {
  auto results = co_await join_range(join_until::one_done, std::move(awaitables));
  std::vector<std::optional<stored<await_result<range_element<Range>>>>> values;
  bool finished = results.empty();
  for (auto& result : results) {
    finished = finished || result.has_value();
    values.push_back(take_optional(result));
  }
  if (!finished) throw cancelled{};
  co_return values;
}

}  // namespace detail

/// Awaits all at once until one has finished, then cancels the others and awaits them too. Gives std::tuple of
/// std::optional results (`nothing` for void): all that finished, so at least one. No result is lost.
/// errors: the first one. cancel: goes through to all.
template <class... A>
  requires(sizeof...(A) > 0 && (detail::awaitable<std::decay_t<A>> && ...))
auto when_any(A&&... awaitables) {
  return detail::take_finished<detail::held<A>...>(detail::hold(std::forward<A>(awaitables))...);
}

/// The same for a range of awaitables, which it moves from; gives std::vector of std::optional results.
/// An empty range gives an empty vector at once.
template <class Range>
  requires detail::awaitable_range<std::remove_cvref_t<Range>>
auto when_any(Range&& awaitables) {
  return detail::take_finished_of(detail::hold_range(std::forward<Range>(awaitables)));
}

}  // namespace ringlet
