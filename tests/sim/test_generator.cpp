// Tests of ringlet/generator.hpp. A generator needs no loop, so neither do its tests.
#include "kit/catch.hpp"

#include <ringlet/generator.hpp>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

using ringlet::elements_of;
using ringlet::generator;
using ringlet::generator_error;

namespace {

constexpr int deep = 100'000;

// Writes its name down when it is destroyed.
class tracked {
 public:
  tracked(std::string& log, char name) : log_(log), name_(name) {}
  tracked(const tracked&) = delete;
  ~tracked() { log_ += name_; }

 private:
  std::string& log_;
  char name_;
};

// How far apart on the stack its calls were.
class stack_meter {
 public:
  [[gnu::noinline]] void measure() {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    lowest_ = std::min(lowest_, here);
    highest_ = std::max(highest_, here);
  }
  std::uintptr_t used() const { return highest_ - lowest_; }

 private:
  std::uintptr_t lowest_ = std::numeric_limits<std::uintptr_t>::max();
  std::uintptr_t highest_ = 0;
};

// Far less than a byte a frame of a deep chain.
constexpr std::uintptr_t flat = 16'384;

generator<int> count_to(int last) {
  for (int n = 1; n <= last; ++n) co_yield n;
}

template <class Generator>
auto collect(Generator values) {
  std::vector<typename Generator::iterator::value_type> all;
  for (auto&& value : values) all.push_back(std::forward<decltype(value)>(value));
  return all;
}

using numbers = std::vector<int>;

}  // namespace

TEST_CASE("generator: a range-for sees every value in order") {
  CHECK(collect(count_to(4)) == numbers{1, 2, 3, 4});
  CHECK(collect(count_to(0)).empty());
}

TEST_CASE("generator: nothing runs before the first value is asked for") {
  bool started = false;
  const auto start = [](bool& flag) -> generator<int> {
    flag = true;
    co_yield 1;
  };
  generator<int> values = start(started);
  CHECK_FALSE(started);
  CHECK(values.next() == 1);
  CHECK(started);
}

TEST_CASE("generator: next gives the values and then nullopt for ever") {
  generator<int> values = count_to(2);
  CHECK(values.next() == 1);
  CHECK_FALSE(values.done());
  CHECK(values.next() == 2);
  CHECK_FALSE(values.done());
  CHECK(values.next() == std::nullopt);
  CHECK(values.done());
  CHECK(values.next() == std::nullopt);
  CHECK(collect(std::move(values)).empty());
}

TEST_CASE("generator: a range-for goes on after what next has taken") {
  generator<int> values = count_to(5);
  values.next();
  for (int n : values) {
    CHECK(n == 2);
    break;
  }
  CHECK(values.next() == 3);
  CHECK(collect(std::move(values)) == numbers{4, 5});
}

TEST_CASE("generator: two that take turns do not disturb each other") {
  std::deque<generator<int>> turns;
  turns.push_back(count_to(3));
  turns.push_back(count_to(2));
  numbers seen;
  while (!turns.empty()) {
    generator<int> next = std::move(turns.front());
    turns.pop_front();
    if (const auto value = next.next()) {
      seen.push_back(*value);
      turns.push_back(std::move(next));
    }
  }
  CHECK(seen == numbers{1, 1, 2, 2, 3});
}

TEST_CASE("generator: works with std::ranges") {
  static_assert(std::ranges::input_range<generator<int>>);
  static_assert(std::ranges::input_range<generator<int&>>);
  static_assert(std::ranges::input_range<generator<std::unique_ptr<int>>>);
  const auto is_even = [](int n) { return n % 2 == 0; };
  numbers seen;
  for (int n : count_to(100) | std::views::filter(is_even) | std::views::take(3)) seen.push_back(n);
  CHECK(seen == numbers{2, 4, 6});
  generator<int> values = count_to(9);
  CHECK(*std::ranges::find(values, 5) == 5);
  CHECK(values.next() == 6);
}

TEST_CASE("generator: a reference that is yielded is the object itself") {
  const auto each = [](numbers& of) -> generator<int&> {
    for (int& n : of) co_yield n;
  };
  numbers data{1, 2, 3};
  for (int& n : each(data)) n *= 10;
  generator<int&> values = each(data);
  const auto first = values.next();
  REQUIRE(first.has_value());
  CHECK(&*first == &data[0]);
  *first = 7;
  CHECK(data == numbers{7, 20, 30});
  values.next();
  values.next();
  CHECK(values.next() == std::nullopt);
}

TEST_CASE("generator: a temporary that is yielded by reference lives until the next value is asked for") {
  const auto words = []() -> generator<const std::string&> {
    co_yield "a word that is too long for the small string";
    co_yield std::string("another word that is too long for it");
  };
  std::vector<std::string> seen;
  for (const std::string& word : words()) seen.push_back(word);
  CHECK(seen == std::vector<std::string>{"a word that is too long for the small string",
                                         "another word that is too long for it"});
  generator<const std::string&> one = words();
  CHECK(one.next()->size() == 44);
}

TEST_CASE("generator: values that can only be moved are moved out") {
  const auto pointers = []() -> generator<std::unique_ptr<int>> {
    co_yield std::make_unique<int>(1);
    auto named = std::make_unique<int>(2);
    co_yield std::move(named);
    co_yield nullptr;
  };
  generator<std::unique_ptr<int>> values = pointers();
  std::optional<std::unique_ptr<int>> first = values.next();
  REQUIRE(first.has_value());
  CHECK(**first == 1);
  for (std::unique_ptr<int> each : values) {
    CHECK(*each == 2);
    break;
  }
  CHECK(values.next() == nullptr);
}

TEST_CASE("generator: a named value that is yielded is copied") {
  bool still_there = false;
  const auto words = [](bool& kept) -> generator<std::string> {
    const std::string constant = "a word that is too long for the small string";
    std::string named = constant;
    co_yield named;
    kept = named == constant;
    co_yield constant;
  };
  for (std::string word : words(still_there)) CHECK(word.size() == 44);
  CHECK(still_there);
}

TEST_CASE("generator: a yielded value is gone when the next one is asked for") {
  const auto share = [](std::shared_ptr<int> what) -> generator<std::shared_ptr<int>> {
    co_yield what;
    co_yield nullptr;
  };
  auto counted = std::make_shared<int>(0);
  generator<std::shared_ptr<int>> values = share(counted);
  auto at = values.begin();
  CHECK(counted.use_count() == 3);
  ++at;
  CHECK(counted.use_count() == 2);
}

TEST_CASE("generator: values that cannot be assigned or made from nothing work") {
  class rigid {
   public:
    explicit rigid(int n) : number(n) {}
    const int number;
  };
  const auto rigids = []() -> generator<rigid> {
    co_yield rigid(1);
    co_yield rigid(2);
  };
  generator<rigid> values = rigids();
  CHECK(values.next()->number == 1);
  CHECK(values.next()->number == 2);
  CHECK_FALSE(values.next().has_value());
}

TEST_CASE("generator: destroyed before its start it only drops its arguments") {
  const auto hold = [](std::shared_ptr<int>) -> generator<int> {
    FAIL("the body ran");
    co_yield 1;
  };
  auto counted = std::make_shared<int>(0);
  {
    generator<int> values = hold(counted);
    CHECK(counted.use_count() == 2);
  }
  CHECK(counted.use_count() == 1);
}

namespace {

generator<int> tracked_values(std::string& log) {
  tracked a(log, 'a');
  co_yield 1;
  tracked b(log, 'b');
  co_yield 2;
}

}  // namespace

TEST_CASE("generator: destroyed while paused it destroys what lives in it") {
  std::string log;
  {
    generator<int> values = tracked_values(log);
    values.next();
    CHECK(log.empty());
  }
  CHECK(log == "a");
  for (int n : tracked_values(log)) {
    if (n == 2) break;
  }
  CHECK(log == "aba");
}

TEST_CASE("generator: close destroys what lives in it, and there are no more values") {
  std::string log;
  generator<int> values = tracked_values(log);
  values.next();
  values.close();
  CHECK(log == "a");
  CHECK(values.done());
  CHECK(values.next() == std::nullopt);
  values.close();
  CHECK(log == "a");
}

TEST_CASE("generator: close in a range-for ends it") {
  std::string log;
  generator<int> values = tracked_values(log);
  int turns = 0;
  for ([[maybe_unused]] int n : values) {
    ++turns;
    values.close();
  }
  CHECK(turns == 1);
}

TEST_CASE("generator: close before the start or after the end does nothing else") {
  generator<int> fresh = count_to(3);
  fresh.close();
  CHECK(fresh.next() == std::nullopt);
  generator<int> ended = count_to(0);
  ended.next();
  ended.close();
  CHECK(ended.next() == std::nullopt);
}

TEST_CASE("generator: assigning to one closes what it was") {
  std::string log;
  generator<int> values = tracked_values(log);
  values.next();
  values = count_to(1);
  CHECK(log == "a");
  generator<int> taken = std::move(values);
  CHECK(taken.next() == 1);
  CHECK(values.next() == std::nullopt);
}

namespace {

generator<int> fail_after(int count) {
  for (int n = 1; n <= count; ++n) co_yield n;
  throw std::runtime_error("no more");
}

}  // namespace

TEST_CASE("generator: what its body throws comes out of next, once, and ends it") {
  generator<int> values = fail_after(1);
  CHECK(values.next() == 1);
  CHECK_THROWS_AS(values.next(), std::runtime_error);
  CHECK(values.done());
  CHECK(values.next() == std::nullopt);
  CHECK_THROWS_AS(values.result(), generator_error);
}

TEST_CASE("generator: what its body throws comes out of a range-for") {
  numbers seen;
  const auto look = [&](int count) {
    for (int n : fail_after(count)) seen.push_back(n);
  };
  CHECK_THROWS_AS(look(2), std::runtime_error);
  CHECK(seen == numbers{1, 2});
  CHECK_THROWS_AS(look(0), std::runtime_error);
}

TEST_CASE("generator: cancelled passes through it as what it is") {
  const auto cancel = []() -> generator<int> {
    throw ringlet::cancelled();
    co_yield 1;
  };
  generator<int> values = cancel();
  CHECK_THROWS_AS(values.next(), ringlet::cancelled);
  CHECK(values.done());
}

namespace {

// Yields the sum of what was sent; catches runtime_error, and starts again at 100.
generator<int, int, std::string> summing(int turns) {
  int sum = 0;
  while (turns-- > 0) {
    try {
      sum += co_yield sum;
    } catch (const std::runtime_error&) {
      sum = 100;
    }
  }
  co_return "done at " + std::to_string(sum);
}

}  // namespace

TEST_CASE("generator: send gives its value to the paused co_yield, and the next value to the caller") {
  generator<int, int, std::string> sum = summing(4);
  CHECK(sum.next() == 0);
  CHECK(sum.send(5) == 5);
  CHECK(sum.send(6) == 11);
  CHECK(sum.next() == 11);
  CHECK(sum.send(1) == std::nullopt);
  CHECK(sum.result() == "done at 12");
}

TEST_CASE("generator: next sends nothing where Send can be nothing") {
  using maybe = std::optional<std::string>;
  const auto listen = []() -> generator<std::string, maybe> {
    std::string heard = "started";
    for (;;) {
      const maybe sent = co_yield heard;
      heard = sent ? *sent : "nothing";
    }
  };
  generator<std::string, maybe> values = listen();
  CHECK(values.next() == "started");
  CHECK(values.send("a") == "a");
  CHECK(values.next() == "nothing");
  CHECK(values.send("b") == "b");
}

TEST_CASE("generator: what can only be moved can be sent") {
  const auto unwrap = []() -> generator<int, std::unique_ptr<int>> {
    int value = 0;
    while (true) {
      const std::unique_ptr<int> sent = co_yield value;
      value = *sent;
    }
  };
  generator<int, std::unique_ptr<int>> values = unwrap();
  CHECK(values.next() == 0);
  CHECK(values.send(std::make_unique<int>(3)) == 3);
}

TEST_CASE("generator: send before the first value is an error and changes nothing") {
  generator<int, int, std::string> sum = summing(2);
  CHECK_THROWS_AS(sum.send(5), generator_error);
  CHECK(sum.next() == 0);
  CHECK(sum.send(5) == 5);
}

TEST_CASE("generator: send after the end or after close gives nullopt") {
  generator<int, int, std::string> sum = summing(0);
  CHECK(sum.next() == std::nullopt);
  CHECK(sum.send(1) == std::nullopt);
  CHECK(sum.result() == "done at 0");
  sum.close();
  CHECK(sum.send(1) == std::nullopt);
}

TEST_CASE("generator: an error thrown in can be caught at the co_yield") {
  generator<int, int, std::string> sum = summing(3);
  sum.next();
  sum.send(5);
  CHECK(sum.throw_in(std::runtime_error("again")) == 100);
  CHECK(sum.throw_in(std::make_exception_ptr(std::runtime_error("end"))) == std::nullopt);
  CHECK(sum.result() == "done at 100");
}

TEST_CASE("generator: an error thrown in that is not caught comes back out, and ends it") {
  std::string log;
  generator<int> values = tracked_values(log);
  values.next();
  CHECK_THROWS_AS(values.throw_in(std::logic_error("out")), std::logic_error);
  CHECK(log == "a");
  CHECK(values.next() == std::nullopt);
}

TEST_CASE("generator: an error thrown in may be turned into another one") {
  const auto translate = []() -> generator<int> {
    try {
      co_yield 1;
    } catch (const std::runtime_error&) {
      throw std::logic_error("translated");
    }
  };
  generator<int> values = translate();
  values.next();
  CHECK_THROWS_AS(values.throw_in(std::runtime_error("original")), std::logic_error);
}

TEST_CASE("generator: an error thrown in before the start ends it without running it") {
  const auto hold = [](std::shared_ptr<int>) -> generator<int> {
    FAIL("the body ran");
    co_yield 1;
  };
  auto counted = std::make_shared<int>(0);
  generator<int> values = hold(counted);
  CHECK_THROWS_AS(values.throw_in(std::runtime_error("early")), std::runtime_error);
  CHECK(counted.use_count() == 1);
  CHECK(values.next() == std::nullopt);
}

TEST_CASE("generator: an error thrown in after the end comes straight back") {
  generator<int, int, std::string> sum = summing(0);
  sum.next();
  CHECK_THROWS_AS(sum.throw_in(std::runtime_error("late")), std::runtime_error);
  CHECK(sum.result() == "done at 0");
  sum.close();
  CHECK_THROWS_AS(sum.throw_in(std::runtime_error("later")), std::runtime_error);
}

TEST_CASE("generator: has no result before it has returned, nor after close") {
  generator<int, int, std::string> sum = summing(1);
  CHECK_THROWS_AS(sum.result(), generator_error);
  sum.next();
  CHECK_THROWS_AS(sum.result(), generator_error);
  sum.close();
  CHECK_THROWS_AS(sum.result(), generator_error);
}

TEST_CASE("generator: a result can be moved out, or be a reference") {
  const auto give = []() -> generator<int, void, std::unique_ptr<int>> {
    co_yield 1;
    co_return std::make_unique<int>(5);
  };
  generator<int, void, std::unique_ptr<int>> values = give();
  for ([[maybe_unused]] int n : values) continue;
  const std::unique_ptr<int> result = std::move(values.result());
  CHECK(*result == 5);

  const auto refer = [](int& to) -> generator<int, void, int&> {
    co_yield 1;
    co_return to;
  };
  int target = 0;
  generator<int, void, int&> references = refer(target);
  for ([[maybe_unused]] int n : references) continue;
  CHECK(&references.result() == &target);
}

namespace {

generator<int> using_itself(generator<int>*& self, std::string& log) {
  co_yield 1;
  const auto refused = [&](const char* what, auto use) {
    try {
      use();
    } catch (const generator_error&) {
      log += what;
    }
  };
  refused("next ", [&] { self->next(); });
  refused("throw_in ", [&] { self->throw_in(std::runtime_error("inside")); });
  refused("close ", [&] { self->close(); });
  refused("begin ", [&] { self->begin(); });
  try {
    co_yield elements_of(*self);
  } catch (const generator_error&) {
    log += "elements_of";
  }
  co_yield 2;
}

}  // namespace

TEST_CASE("generator: while it runs every use of it is an error, and it goes on") {
  std::string log;
  generator<int>* self = nullptr;
  generator<int> values = using_itself(self, log);
  self = &values;
  CHECK(values.next() == 1);
  CHECK(values.next() == 2);
  CHECK(log == "next throw_in close begin elements_of");
  CHECK(values.next() == std::nullopt);
}

TEST_CASE("elements_of: yields what the sub-generator yields, and gives what it returns") {
  const auto sub = [](int from) -> generator<int, void, std::string> {
    co_yield from;
    co_yield from + 1;
    co_return "returned " + std::to_string(from);
  };
  std::string log;
  const auto outer = [&]() -> generator<int> {
    co_yield 0;
    log += co_yield elements_of(sub(1));
    generator<int, void, std::string> named = sub(3);
    log += ", " + (co_yield elements_of(named));
    co_yield 5;
  };
  CHECK(collect(outer()) == numbers{0, 1, 2, 3, 4, 5});
  CHECK(log == "returned 1, returned 3");
}

TEST_CASE("elements_of: what is sent and thrown in reaches the innermost generator") {
  const auto outer = []() -> generator<int, int, std::string> {
    const std::string first = co_yield elements_of(summing(3));
    co_return "outer: " + first;
  };
  const auto outermost = [&]() -> generator<int, int, std::string> { co_return co_yield elements_of(outer()); };
  generator<int, int, std::string> sum = outermost();
  CHECK(sum.next() == 0);
  CHECK(sum.send(5) == 5);
  CHECK(sum.throw_in(std::runtime_error("again")) == 100);
  CHECK(sum.send(1) == std::nullopt);
  CHECK(sum.result() == "outer: done at 101");
}

TEST_CASE("elements_of: an error that a sub-generator lets through can be caught around it") {
  const auto outer = []() -> generator<int> {
    try {
      co_yield elements_of(fail_after(1));
    } catch (const std::runtime_error&) {
    }
    co_yield 7;
    try {
      co_yield elements_of(count_to(3));
    } catch (const std::runtime_error&) {
    }
    co_yield 8;
    co_yield elements_of(fail_after(0));
  };
  generator<int> values = outer();
  CHECK(values.next() == 1);
  CHECK(values.next() == 7);
  CHECK(values.next() == 1);
  CHECK(values.throw_in(std::runtime_error("stop")) == 8);
  CHECK_THROWS_AS(values.next(), std::runtime_error);
  CHECK(values.done());
}

TEST_CASE("elements_of: a sub-generator that was used before goes on where it is, and is used up") {
  generator<int> sub = count_to(3);
  sub.next();
  const auto outer = [](generator<int>& inner) -> generator<int> { co_yield elements_of(inner); };
  generator<int> values = outer(sub);
  CHECK(values.next() == 2);
  CHECK(sub.next() == std::nullopt);
  CHECK(values.next() == 3);
  CHECK(values.next() == std::nullopt);
  CHECK(sub.done());
}

TEST_CASE("elements_of: a sub-generator that is itself delegating comes with its whole chain") {
  const auto middle = []() -> generator<int> {
    co_yield elements_of(count_to(2));
    co_yield 9;
  };
  const auto outer = [](generator<int> inner) -> generator<int> {
    co_yield elements_of(inner);
    co_yield 10;
  };
  generator<int> delegating = middle();
  CHECK(delegating.next() == 1);
  CHECK(collect(outer(std::move(delegating))) == numbers{2, 9, 10});
}

TEST_CASE("elements_of: a sub-generator that has ended gives its result at once") {
  generator<int, int, std::string> ended = summing(0);
  ended.next();
  const auto outer = [](generator<int, int, std::string>& inner) -> generator<int, int, std::string> {
    co_return co_yield elements_of(inner);
  };
  generator<int, int, std::string> values = outer(ended);
  CHECK(values.next() == std::nullopt);
  CHECK(values.result() == "done at 0");
  generator<int, int, std::string> again = outer(ended);
  CHECK_THROWS_AS(again.next(), generator_error);
}

TEST_CASE("elements_of: a closed sub-generator yields nothing") {
  generator<int> closed = count_to(3);
  closed.close();
  const auto outer = [](generator<int>& inner) -> generator<int> {
    co_yield elements_of(inner);
    co_yield 4;
  };
  CHECK(collect(outer(closed)) == numbers{4});
}

TEST_CASE("elements_of: closing destroys the innermost generator first") {
  std::string log;
  const auto nested = [&log](auto& self, char name) -> generator<int> {
    tracked here(log, name);
    if (name == 'c') {
      co_yield 1;
    } else {
      co_yield elements_of(self(self, static_cast<char>(name + 1)));
    }
  };
  generator<int> values = nested(nested, 'a');
  values.next();
  values.close();
  CHECK(log == "cba");
}

namespace {

struct tree {
  int value;
  std::unique_ptr<tree> left, right;
};

std::unique_ptr<tree> tree_of(int first, int last) {
  if (first > last) return nullptr;
  const int middle = (first + last) / 2;
  return std::make_unique<tree>(tree{middle, tree_of(first, middle - 1), tree_of(middle + 1, last)});
}

generator<const int&> in_order(const tree* node) {
  if (node == nullptr) co_return;
  co_yield elements_of(in_order(node->left.get()));
  co_yield node->value;
  co_yield elements_of(in_order(node->right.get()));
}

}  // namespace

TEST_CASE("elements_of: a tree is walked by a generator that calls itself") {
  const std::unique_ptr<tree> root = tree_of(1, 1000);
  int expected = 1;
  for (const int& value : in_order(root.get())) CHECK(value == expected++);
  CHECK(expected == 1001);
}

namespace {

// Yields the depth from the innermost out; measures the stack at every turn.
generator<int, void, long> descend(int depth, stack_meter& meter, long& alive) {
  class counted {
   public:
    explicit counted(long& number) : number_(number) { ++number_; }
    ~counted() { --number_; }

   private:
    long& number_;
  };
  const counted here(alive);
  meter.measure();
  long below = 0;
  if (depth > 0) below = co_yield elements_of(descend(depth - 1, meter, alive));
  meter.measure();
  co_yield depth;
  meter.measure();
  co_return below + 1;
}

}  // namespace

TEST_CASE("elements_of: a chain 100,000 deep needs no more stack than a short one") {
  stack_meter meter;
  long alive = 0;
  generator<int, void, long> values = descend(deep, meter, alive);
  int expected = 0;
  bool in_order = true;
  while (const auto value = values.next()) in_order = in_order && *value == expected++;
  CHECK(in_order);
  CHECK(expected == deep + 1);
  CHECK(values.result() == deep + 1);
  CHECK(alive == 0);
  CHECK(meter.used() < flat);
}

TEST_CASE("elements_of: a chain 100,000 deep is closed without deep recursion") {
  stack_meter meter;
  long alive = 0;
  {
    generator<int, void, long> values = descend(deep, meter, alive);
    CHECK(values.next() == 0);
    CHECK(alive == deep + 1);
    values.close();
    CHECK(alive == 0);
    values = descend(deep, meter, alive);
    CHECK(values.next() == 0);
  }
  CHECK(alive == 0);
  CHECK(meter.used() < flat);
}

TEST_CASE("elements_of: an error passes out through a chain 100,000 deep") {
  stack_meter meter;
  long alive = 0;
  generator<int, void, long> values = descend(deep, meter, alive);
  CHECK(values.next() == 0);
  CHECK_THROWS_AS(values.throw_in(std::runtime_error("from below")), std::runtime_error);
  CHECK(alive == 0);
  CHECK(values.done());
}
