// Tests of ringlet/detail/arguments.hpp: what a spawned task is handed lives as long as the task.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <functional>
#include <string>
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

TEST_CASE("spawn: what fits a parameter by reference as it is is not converted") {
  struct base {
    virtual ~base() = default;
    virtual int number() const { return 1; }
  };
  struct derived : base {
    int number() const override { return 2; }
  };
  kit::in_every_order([](simulation&) -> task<> {
    const auto number_of = [](const base& b) -> task<int> {
      co_await yield_now();
      co_return b.number();
    };
    base mine;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto of_copy = n.spawn(number_of, derived());
      auto of_mine = n.spawn(number_of, std::cref(mine));
      const int two = co_await of_copy;
      const int one = co_await of_mine;
      CHECK((two == 2 && one == 1));
    });
  });
}
