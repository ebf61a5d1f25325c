// Tests of ringlet/detail/arguments.hpp: what a spawned task is handed lives as long as the task.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <any>
#include <atomic>
#include <functional>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

using namespace ringlet;

TEST_CASE("spawn: what has to be converted for a parameter by reference lives in the child, too") {
  struct teller {
    task<> tell(const std::string& what, std::vector<std::string>& to) const {
      co_await yield_now();
      to.push_back(what);
    }
  };
  kit::in_every_order([](simulation&) -> task<> {
    std::vector<std::string> heard;
    const auto tell_both = [&](const std::string& what, const double& number) -> task<> {
      co_await yield_now();
      heard.push_back(what + " " + std::to_string(number));
    };
    const std::function<task<>(std::string&&)> tell_moved = [&](std::string&& what) -> task<> {
      co_await yield_now();
      heard.push_back(std::move(what));
    };
    const teller who;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(tell_both, "a text that is too long for the string itself", 3);
      n.spawn(name("named"), tell_moved, "another text that is too long for the string itself");
      n.spawn(&teller::tell, std::ref(who), "a third text that is too long for the string itself", std::ref(heard));
      n.spawn(&teller::tell, std::ref(who), borrowed(std::string("a fourth text, which is kept, too")),
              std::ref(heard));
      co_return;
    });
    std::sort(heard.begin(), heard.end());
    CHECK(heard == std::vector<std::string>{"a fourth text, which is kept, too",
                                            "a text that is too long for the string itself 3.000000",
                                            "a third text that is too long for the string itself",
                                            "another text that is too long for the string itself"});
  });
}

TEST_CASE("run: what has to be converted for a parameter by reference lives until its end") {
  const auto join = [](const std::string& a, const std::string& b) -> task<std::string> {
    co_await yield_now();
    co_return a + b;
  };
  simulation world;
  CHECK(run(world.how(), join, "two texts that are too long ", "for the strings themselves") ==
        "two texts that are too long for the strings themselves");
}

namespace {

struct animal {
  virtual ~animal() = default;
  virtual int legs() const { return 4; }
};
struct bird : animal {
  int legs() const override { return 2; }
};

/// Refers to what it was made from.
struct view_of_numbers {
  view_of_numbers(const std::vector<int>& all) : numbers(&all) {}
  const std::vector<int>* numbers;
};

/// Converts to a reference, and not to a new object.
struct cage {
  operator const animal&() const { return tenant; }
  bird tenant;
};

}  // namespace

TEST_CASE("spawn: what fits a parameter by reference as it is is that very object") {
  static const bird sparrow;
  static std::atomic<int> cannot_be_copied = 3;
  const auto is_sparrow = [](const animal& a) -> task<bool> {
    co_await yield_now();
    co_return &a == &sparrow;
  };
  const auto is_the_number = [](const std::atomic<int>& n) -> task<bool> {
    co_await yield_now();
    co_return &n == &cannot_be_copied;
  };
  static const std::any box = 7;  // which would also take the reference itself
  const auto is_the_box = [](const std::any& a) -> task<bool> {
    co_await yield_now();
    co_return &a == &box;
  };
  const auto legs_of = [](const animal& a) -> task<int> {
    co_await yield_now();
    co_return a.legs();
  };
  kit::in_every_order([&](simulation&) -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      auto by_cref = n.spawn(is_sparrow, std::cref(sparrow));
      auto by_ref = n.spawn(is_sparrow, std::ref(sparrow));
      auto by_base = n.spawn(is_sparrow, std::cref(static_cast<const animal&>(sparrow)));
      auto uncopied = n.spawn(is_the_number, std::cref(cannot_be_copied));
      auto of_any = n.spawn(is_the_box, std::cref(box));
      const bool same_box = co_await of_any;
      CHECK(same_box);
      auto of_copy = n.spawn(legs_of, bird());
      auto of_cage = n.spawn(legs_of, cage());
      const bool same = co_await by_cref && co_await by_ref && co_await by_base && co_await uncopied;
      CHECK(same);
      const int two = co_await of_copy;
      const int two_again = co_await of_cage;
      CHECK((two == 2 && two_again == 2));
    });
  });
}

TEST_CASE("spawn: what a converted argument may be a view of lives as long, and defaults stay what they are") {
  const auto sum = [](const view_of_numbers& all) -> task<int> {
    co_await yield_now();
    co_return std::accumulate(all.numbers->begin(), all.numbers->end(), 0);
  };
  const auto size_of = [](const std::string_view& text, int more = 1) -> task<std::size_t> {
    co_await yield_now();
    co_return text.size() + static_cast<std::size_t>(more);
  };
  const auto copy = [](const std::string& text, const std::string& = "default") -> task<std::string> {
    co_await yield_now();
    co_return text;
  };
  kit::in_every_order([&](simulation&) -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      std::vector<int> numbers(100, 7);
      auto total = n.spawn(sum, std::move(numbers));
      auto size = n.spawn(size_of, std::string(100, 'x'));
      auto of_borrowed = n.spawn(copy, borrowed("a borrowed text that is too long for the string itself"));
      const int seven_hundred = co_await total;
      const std::size_t more_than_hundred = co_await size;
      const std::string text = co_await of_borrowed;
      CHECK(seven_hundred == 700);
      CHECK(more_than_hundred == 101);
      CHECK(text == "a borrowed text that is too long for the string itself");
    });
  });
}
