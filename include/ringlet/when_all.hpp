// L3 scopes: several awaits at once, all of whose results are wanted; knows nurseries.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/join.hpp>

namespace ringlet {

namespace detail {

template <class... A>
task<std::tuple<stored<await_result<A>>...>> take_all(A... awaitables) {
  auto results = co_await join(join_until::all_done, std::move(awaitables)...);
  co_return std::apply([](auto&... result) { return std::tuple<stored<await_result<A>>...>(take_stored(result)...); },
                       results);
}

template <class Range>
task<std::vector<stored<await_result<range_element<Range>>>>> take_all_of(Range awaitables) {
  auto results = co_await join_range(join_until::all_done, std::move(awaitables));
  std::vector<stored<await_result<range_element<Range>>>> values;
  for (auto& result : results) values.push_back(take_stored(result));
  co_return values;
}

}  // namespace detail

/// Awaits all at once; gives std::tuple of their results (`nothing` for void), in the order of the arguments.
/// errors: the first one, after the others were cancelled and have ended. cancel: goes through to all.
template <class... A>
  requires(sizeof...(A) > 0 && (detail::awaitable<std::decay_t<A>> && ...))
auto when_all(A&&... awaitables) {
  return detail::take_all<detail::held<A>...>(detail::hold(std::forward<A>(awaitables))...);
}

/// The same for a range of awaitables, which it moves from; gives std::vector of their results.
template <class Range>
  requires detail::awaitable_range<std::remove_cvref_t<Range>>
auto when_all(Range&& awaitables) {
  return detail::take_all_of(detail::hold_range(std::forward<Range>(awaitables)));
}

}  // namespace ringlet
