// L3 scopes: pipelines of functions that work at the same time on one item after another; knows nurseries and channels.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/channel.hpp>
#include <ringlet/nursery.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringlet {

namespace detail {

template <class S>
concept plain_range = requires(S& s) {
  { *s.begin() };
  s.end();
};

/// Gives its items one by one to who awaits next(): a line_reader, the stream of as_completed() and the like.
template <class S>
concept async_stream = !plain_range<S> && requires(S& s) {
  { s.next() };
  requires awaitable<decltype(s.next())>;
};

/// Why text: a line is only valid until the next one is asked for.
template <class T>
struct kept {
  using type = T;
};
template <>
struct kept<std::string_view> {
  using type = std::string;
};

template <class S>
struct item_of;
template <plain_range S>
struct item_of<S> {
  using type = std::decay_t<decltype(*std::declval<S&>().begin())>;
};
template <async_stream S>
struct item_of<S> {
  using type = std::decay_t<decltype(*std::declval<await_result<decltype(std::declval<S&>().next())>&>())>;
};

/// What f(item) gives in the end, be f a coroutine or a plain function.
template <class F, class T>
struct call_result {
  using type = std::invoke_result_t<F&, T>;
};
template <class F, class T>
  requires awaitable<std::invoke_result_t<F&, T>>
struct call_result<F, T> {
  using type = await_result<std::invoke_result_t<F&, T>>;
};

/// The beginning of a pipeline. Source: a reference, or the thing itself.
template <class Source>
class pipeline_source {
  using source = std::remove_reference_t<Source>;
  static constexpr bool gives_away = !std::is_reference_v<Source>;

 public:
  using item = typename kept<typename item_of<source>::type>::type;

  explicit pipeline_source(Source&& s) : source_(std::forward<Source>(s)) {}

  void start(nursery& n, channel<item>& to) {
    n.spawn([this, &to] { return feed(to); });
  }

 private:
  task<> feed(channel<item>& to) {
    if constexpr (plain_range<source>) {
      for (auto&& each : source_) {
        if constexpr (std::copy_constructible<item>) {
          co_await to.send(std::in_place, each);
        } else {
          static_assert(gives_away,
                        "items that cannot be copied come from a range that is moved in: from(std::move(r))");
          co_await to.send(std::in_place, std::move(each));
        }
      }
    } else {
      while (auto each = co_await source_.next()) co_await to.send(std::in_place, *std::move(each));
    }
    to.close();
  }

  Source source_;
};

/// Some workers between two links. F is shared by all of them.
template <class Upstream, class F>
class pipeline_stage {
 public:
  using input = typename Upstream::item;
  using item = std::decay_t<typename call_result<F, input>::type>;
  static_assert(!std::is_void_v<item>,
                "the function of a stage gives what the next one works on; for_each is the last");

  pipeline_stage(Upstream upstream, F function, std::size_t workers)
      : upstream_(std::move(upstream)), function_(std::move(function)), workers_(workers) {}

  void start(nursery& n, channel<item>& to) {
    channel<input>& from = link_.emplace(workers_);
    upstream_.start(n, from);
    working_ = workers_;
    for (std::size_t i = 0; i < workers_; ++i) n.spawn([this, &from, &to] { return work(from, to); });
  }

 private:
  task<> work(channel<input>& from, channel<item>& to) {
    while (auto given = co_await from.receive()) {
      if constexpr (awaitable<std::invoke_result_t<F&, input>>) {
        item result = co_await function_(std::move(*given));
        co_await to.send(std::in_place, std::move(result));
      } else {
        co_await to.send(std::in_place, function_(std::move(*given)));
      }
    }
    if (--working_ == 0) to.close();
  }

  struct link : std::optional<channel<input>> {
    link() = default;
    link(link&&) noexcept {}  // Why: a pipeline moves only before it begins
  };

  Upstream upstream_;
  F function_;
  std::size_t workers_;
  std::size_t working_ = 0;
  link link_;  // to here; made by start()
};

// Why constructors: g++ 12 destroys an aggregate twice that is a temporary of a co_await expression.
template <class F>
struct stage_to_come {
  stage_to_come(F f, std::size_t count) : function(std::move(f)), workers(count) {}
  F function;
  std::size_t workers;
};
template <class F>
struct last_to_come {
  explicit last_to_come(F f) : function(std::move(f)) {}
  F function;
};

/// f with its item, where a pool must not be given the item itself; see safe_argument.
template <class F, class T>
class bound_item {
 public:
  bound_item(const F& f, T&& item) : function_(f), item_(std::move(item)) {}
  template <class... Token>
    requires std::is_invocable_v<F&, Token..., T>
  decltype(auto) operator()(Token&&... token) {
    return function_(std::forward<Token>(token)..., std::move(item_));
  }

 private:
  F function_;
  T item_;
};

/// f on a pool.
template <class Pool, class F>
class pool_function {
 public:
  pool_function(Pool& pool, F f) : pool_(&pool), function_(std::move(f)) {}
  template <class T>
  auto operator()(T&& item) const {
    if constexpr (safe_argument<T>) {
      return pool_->run(function_, std::forward<T>(item));
    } else {
      bound_item<F, T> call(function_, std::move(item));
      return pool_->run(owned(std::move(call)));
    }
  }

 private:
  Pool* pool_;
  F function_;
};

inline std::size_t checked_workers(std::size_t count) {
  if (count == 0) throw std::invalid_argument("pipeline: a stage needs at least one worker");
  return count;
}

template <class Upstream, class F>
task<> run_pipeline(Upstream upstream, F last) {
  using item = typename Upstream::item;
  channel<item> link(1);
  const auto body = [&](nursery& n) -> task<> {
    upstream.start(n, link);
    while (auto given = co_await link.receive()) {
      if constexpr (awaitable<std::invoke_result_t<F&, item>>) {
        co_await last(std::move(*given));
      } else {
        last(std::move(*given));
      }
    }
  };
  co_await with_nursery(body);
}

template <class T>
concept pipeline_part = requires { typename T::item; };

template <pipeline_part Upstream, class F>
auto operator|(Upstream upstream, stage_to_come<F> next) {
  return pipeline_stage<Upstream, F>(std::move(upstream), std::move(next.function), next.workers);
}

template <pipeline_part Upstream, class F>
task<> operator|(Upstream upstream, last_to_come<F> last) {
  return run_pipeline(std::move(upstream), std::move(last.function));
}

}  // namespace detail

/// The beginning of a pipeline: `co_await (from(range) | stage(f, 4) | stage(pool, g, 2) | for_each(h))`. With g++ 12
/// name closures that need a destructor first: auto f = [..]{..};
/// source: a range, whose items are copied (moved, where they cannot be), or what has next(), as a line_reader has,
/// whose lines become std::string.
/// errors: the first one of any function or of the source, after all else was cancelled and has ended.
/// cancel: goes through to all. lifetime: a source that is not moved in outlives the await.
template <class Source>
  requires(detail::plain_range<std::remove_reference_t<Source>> ||
           detail::async_stream<std::remove_reference_t<Source>>)
auto from(Source&& source) {
  return detail::pipeline_source<Source>(std::forward<Source>(source));
}

/// So many workers call f(item), a coroutine or a plain function, and pass on what it gives: with one worker in the
/// order of the items, with more as they finish. In front of a stage at most `concurrency` items wait, and who is ahead
/// is held up.
/// errors: std::invalid_argument for no workers.
template <class F>
auto stage(F&& f, std::size_t concurrency = 1) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  return detail::stage_to_come<std::decay_t<F>>(std::forward<F>(f), detail::checked_workers(concurrency));
}

/// The same, where f is a plain function that runs on a pool: `co_await pool.run(f, item)`.
/// lifetime: the pool outlives the await.
template <class Pool, class F>
  requires(!std::convertible_to<F, std::size_t>)
auto stage(Pool& pool, F&& f, std::size_t concurrency = 1) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  using on_pool = detail::pool_function<Pool, std::decay_t<F>>;
  return detail::stage_to_come<on_pool>(on_pool(pool, std::forward<F>(f)), detail::checked_workers(concurrency));
}

/// The end of a pipeline: f(item), a coroutine or a plain function, for one after another.
template <class F>
auto for_each(F&& f) {
  RINGLET_REQUIRE_SAFE_CLOSURE(F);
  return detail::last_to_come<std::decay_t<F>>(std::forward<F>(f));
}

}  // namespace ringlet
