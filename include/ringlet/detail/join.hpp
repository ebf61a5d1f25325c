// L3 scopes: the machinery of when_all and when_any: one child task an awaitable; knows nurseries.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/nursery.hpp>

#include <optional>
#include <tuple>
#include <vector>

namespace ringlet::detail {

template <class T>
concept awaitable_range = requires(T& range) {
  { *range.begin() };
  range.end();
  requires awaitable<std::remove_cvref_t<decltype(*range.begin())>>;
};

template <class Range>
using range_element = std::remove_cvref_t<decltype(*std::declval<Range&>().begin())>;

/// When one child ends the others: at the first error, or at the first end of any kind.
enum class join_until { all_done, one_done };

/// The body of one child. The result goes straight to who joins, so that a cancelled wait needs no exception.
template <class A>
task<> settle(A awaitable, outcome<await_result<A>>* result, nursery_access* children, join_until until) {
  *result = co_await as_outcome(std::move(awaitable));
  if (result->has_error()) children->fail(result->error());
  if (result->has_value() && until == join_until::one_done) children->get().cancel();
}

template <class A>
void spawn_settling(nursery_access& children, A& awaitable, outcome<await_result<A>>& result, join_until until) {
  result.set_cancelled();  // Why: a child that is cancelled before it begins does not come to say so
  children.get().spawn(settle<A>, std::move(awaitable), borrowed(&result), borrowed(&children), until);
}

/// Ends the nursery of a join: throws the first error.
inline void close_join(nursery_access& children) {
  children.close();
  children.rethrow_error();
}

template <class... A>
task<std::tuple<outcome<await_result<A>>...>> join(join_until until, A... awaitables) {
  std::tuple<outcome<await_result<A>>...> results;
  nursery_access children;
  try {
    std::apply([&](auto&... result) { (spawn_settling(children, awaitables, result, until), ...); }, results);
  } catch (...) {
    children.fail(std::current_exception());
  }
  co_await children.join();
  close_join(children);
  co_return results;
}

template <class Range>
task<std::vector<outcome<await_result<range_element<Range>>>>> join_range(join_until until, Range awaitables) {
  std::vector<outcome<await_result<range_element<Range>>>> results;
  nursery_access children;
  try {
    for ([[maybe_unused]] auto& each : awaitables) results.emplace_back();
    auto result = results.begin();
    for (auto& each : awaitables) spawn_settling(children, each, *result++, until);
  } catch (...) {
    children.fail(std::current_exception());
  }
  co_await children.join();
  close_join(children);
  co_return results;
}

template <class T>
std::optional<stored<T>> take_optional(outcome<T>& result) {
  if (!result.has_value()) return std::nullopt;
  return take_stored(result);
}

}  // namespace ringlet::detail
