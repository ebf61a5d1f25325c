// Probe of the compiler: the forms of co_await that ringlet's documentation calls safe destroy each object once.
#include "kit/counted.hpp"
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

using kit::balanced;
using kit::tally;

task<std::size_t> length_of(balanced b) {
  co_await yield_now();
  co_return b.text().size();
}

task<std::size_t> length_of_reference(const balanced& b) {
  co_await yield_now();
  co_return b.text().size();
}

task<bool> truth(bool value, int& asked) {
  ++asked;
  co_await yield_now();
  co_return value;
}

task<balanced> make(tally& t) {
  co_await yield_now();
  co_return balanced(t);
}

task<balanced> fail(tally& t) {
  const balanced local(t);
  co_await yield_now();
  throw std::runtime_error("after a local");
}

/// Options as ringlet makes them: a class with setters that can be chained, and no aggregate.
class fluent {
 public:
  fluent& text(balanced b) {
    kept_.push_back(std::move(b));
    return *this;
  }
  std::size_t size() const noexcept { return kept_.size(); }

 private:
  std::vector<balanced> kept_;
};

task<std::size_t> count_options(fluent f) {
  co_await yield_now();
  co_return f.size();
}

/// Runs body(tally&) and looks whether everything that was made is gone. at_least: how many must have been made.
template <class Body>
void is_balanced(Body body, int at_least = 1) {
  kit::in_every_order([&](simulation&) -> task<> {
    tally t;
    co_await body(t);
    CHECK(t.made >= at_least);
    CHECK(t.alive == 0);
  });
}

}  // namespace

// --- Arguments

TEST_CASE("compiler: temporaries of classes with constructors, as arguments of what is awaited") {
  is_balanced([](tally& t) -> task<> {
    co_await length_of(balanced(t));
    co_await length_of_reference(balanced(t));
    co_await with_timeout(1s, length_of(balanced(t)));
    co_await when_all(length_of(balanced(t)), length_of_reference(balanced(t)));
    co_await shield(length_of(balanced(t)));
    co_await move_on_after(0ms, length_of(balanced(t)));
  });
}

TEST_CASE("compiler: temporary strings, as arguments and as what is written") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const std::string word = "a word that is too long to be stored inside the string itself";
    co_await a.write_all(word + "\n");
    co_await a.write_all(std::string("another one, also too long to be stored inside") + "\n");
    line_reader<tcp_stream> lines(b);
    const auto first = co_await lines.next();
    CHECK(first == word);
    const auto second = co_await lines.next();
    CHECK(second == "another one, also too long to be stored inside");
  });
}

TEST_CASE("compiler: fluent options, as a temporary") {
  is_balanced(
      [](tally& t) -> task<> {
        const std::size_t count = co_await count_options(fluent().text(balanced(t)).text(balanced(t)));
        CHECK(count == 2);
      },
      2);
}

TEST_CASE("compiler: a task that was named first, and then awaited") {
  is_balanced([](tally& t) -> task<> {
    auto named = length_of(balanced(t));
    co_await std::move(named);
    auto in_time = with_timeout(1s, length_of(balanced(t)));
    co_await std::move(in_time);
  });
}

TEST_CASE("compiler: results: used, kept, moved on and thrown away") {
  is_balanced([](tally& t) -> task<> {
    co_await make(t);
    const balanced kept = co_await make(t);
    balanced moved = co_await make(t);
    moved = co_await make(t);
    co_await length_of(co_await make(t));
    const auto [a, b] = co_await when_all(make(t), make(t));
    CHECK(a.text() == b.text());
    const auto in_time = co_await move_on_after(1s, make(t));
    CHECK(in_time.has_value());
    const auto too_late = co_await move_on_after(0ms, make(t));
    CHECK_FALSE(too_late.has_value());
  });
}

TEST_CASE("compiler: an exception through an await destroys arguments and locals once") {
  is_balanced([](tally& t) -> task<> {
    int caught = 0;
    for (int i = 0; i < 3; ++i) {
      try {
        const balanced local(t);
        co_await length_of(co_await fail(t));
      } catch (const std::runtime_error&) {
        ++caught;
      }
    }
    CHECK(caught == 3);
  });
}

// --- Closures

TEST_CASE("compiler: a closure that was named first") {
  is_balanced([](tally& t) -> task<> {
    const balanced captured(t);
    const auto body = [captured](nursery&) -> task<std::size_t> {
      co_await yield_now();
      co_return captured.text().size();
    };
    const std::size_t size = co_await with_nursery(body);
    CHECK(size == captured.text().size());
    const auto clean = [captured]() -> task<> { co_await yield_now(); };
    co_await finally(length_of(captured), clean);
    cancel_scope scope;
    const auto in_scope = [captured]() -> task<std::size_t> { co_return captured.text().size(); };
    co_await scope.run(in_scope);
  });
}

TEST_CASE("compiler: a temporary closure that captures by reference only") {
  is_balanced([](tally& t) -> task<> {
    const balanced outside(t);
    const std::size_t size = co_await with_nursery([&](nursery& n) -> task<std::size_t> {
      n.spawn([&]() -> task<> {
        co_await yield_now();
        CHECK_FALSE(outside.text().empty());
      });
      co_return outside.text().size();
    });
    CHECK(size == outside.text().size());
  });
}

TEST_CASE("compiler: a named closure that is moved in through owned()") {
  is_balanced([](tally& t) -> task<> {
    auto body = [captured = balanced(t)](nursery&) -> task<std::size_t> {
      co_await yield_now();
      co_return captured.text().size();
    };
    const std::size_t size = co_await with_nursery(owned(std::move(body)));
    CHECK(size > 0);
    auto clean = [captured = balanced(t)]() -> task<> { co_await yield_now(); };
    co_await finally(yield_now(), owned(std::move(clean)));
  });
}

TEST_CASE("compiler: closures with captures, spawned: spawn is no await") {
  is_balanced([](tally& t) -> task<> {
    const balanced outside(t);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([captured = outside]() -> task<> {
        co_await yield_now();
        CHECK_FALSE(captured.text().empty());
      });
      auto work = n.spawn(length_of, balanced(t));
      const std::size_t size = co_await work;
      CHECK(size == outside.text().size());
    });
  });
}

TEST_CASE("compiler: a function and its arguments, offloaded") {
  is_balanced([](tally& t) -> task<> {
    const std::size_t size = co_await offload([](const balanced& b) { return b.text().size(); }, balanced(t));
    CHECK(size > 0);
    const auto named = [captured = balanced(t)] { return captured.text().size(); };
    const std::size_t again = co_await offload(named);
    CHECK(again == size);
  });
}

// --- Conditions

TEST_CASE("compiler: && and || with an await on the right side, where they are safe") {
  kit::in_every_order([](simulation&) -> task<> {
    int asked = 0;
    bool reached = false;
    if (asked != 0 && co_await truth(true, asked)) reached = true;
    CHECK_FALSE(reached);
    if (asked == 0 || co_await truth(true, asked)) reached = true;
    CHECK(reached);
    const bool both = asked != 0 && co_await truth(true, asked);
    CHECK_FALSE(both);
    const bool either = asked == 0 || co_await truth(true, asked);
    CHECK(either);
    CHECK(asked == 0);
    const bool really_both = asked == 0 && co_await truth(true, asked);
    CHECK(really_both);
    CHECK(asked == 1);
  });
}

TEST_CASE("compiler: an await alone as the condition of a loop") {
  is_balanced(
      [](tally& t) -> task<> {
        int asked = 0;
        while (co_await truth(asked < 3, asked)) co_await length_of(balanced(t));
        CHECK(asked == 4);
        for (int i = 0; co_await truth(i < 2, asked); ++i) co_await length_of(balanced(t));
        CHECK(asked == 7);
        do {
          co_await length_of(balanced(t));
        } while (co_await truth(asked < 9, asked));
        CHECK(asked == 10);
      },
      3 + 2 + 3);
}

#if defined(__clang__)

// g++ 12 always evaluates the right side in these places, so ringlet and its examples keep away from them.
TEST_CASE("compiler: && with an await on the right side, in the condition of a loop and in co_return") {
  kit::in_every_order([](simulation&) -> task<> {
    int asked = 0;
    for (bool goes_on = false; goes_on && co_await truth(true, asked);) goes_on = false;
    while (asked > 0 && co_await truth(true, asked)) break;
    const auto returns = [&]() -> task<bool> { co_return asked > 0 && co_await truth(true, asked); };
    const bool result = co_await returns();
    CHECK_FALSE(result);
    CHECK(asked == 0);
  });
}

#endif

// --- What the guards guard against

#if !RINGLET_CLOSURE_BUG

namespace {

struct aggregate {
  balanced first;
  balanced second;
};

task<std::size_t> length_of_both(aggregate a) {
  co_await yield_now();
  co_return a.first.text().size() + a.second.text().size();
}

}  // namespace

TEST_CASE("compiler: without the fault of g++ 12, temporary closures and aggregates are destroyed once, too") {
  is_balanced([](tally& t) -> task<> {
    const balanced outside(t);
    co_await with_nursery([outside](nursery&) -> task<> { co_await yield_now(); });
    co_await finally(yield_now(), [outside]() -> task<> { co_await yield_now(); });
    const std::size_t size = co_await length_of_both(aggregate{balanced(t), balanced(t)});
    CHECK(size == 2 * outside.text().size());
  });
}

#endif
