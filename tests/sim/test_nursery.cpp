// Tests of ringlet/nursery.hpp.
#include "kit/counted.hpp"
#include "kit/errors.hpp"
#include "kit/random.hpp"
#include "kit/sim.hpp"

#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/timeout.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

task<> sleep_then_add(duration length, int& to) {
  co_await sleep_for(length);
  ++to;
}

task<> throw_after(duration length, std::string what) {
  co_await sleep_for(length);
  throw std::runtime_error(what);
}

task<> spawn_next(nursery& n, int& reached, int depth) {
  co_await sleep_for(1ms);
  reached = depth;
  if (depth < 10) n.spawn(spawn_next, std::ref(n), std::ref(reached), depth + 1);
}

task<int> give(int n) {
  co_return n;
}

task<std::size_t> length_of(std::string text) {
  co_await yield_now();
  co_return text.size();
}

/// What with_nursery(body) throws as a runtime_error.
template <class Body>
task<std::string> error_of(Body& body) {
  const auto error = co_await kit::thrown_by<std::runtime_error>([&] { return with_nursery(body); });
  co_return error ? error->what() : "no error";
}

}  // namespace

TEST_CASE("nursery: it ends when its body and all its children have ended") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int ended = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(sleep_then_add, 10ms, std::ref(ended));
      n.spawn(sleep_then_add, 5ms, std::ref(ended));
      CHECK(n.size() == 2);
      co_await sleep_for(7ms);
      CHECK(n.size() == 1);
    });
    CHECK(ended == 2);
    CHECK(world.clock().now() - start == 10ms);
  });
}

TEST_CASE("nursery: gives what its body returns") {
  kit::in_every_order([](simulation&) -> task<> {
    const int value = co_await with_nursery([](nursery&) -> task<int> { co_return 5; });
    CHECK(value == 5);
    const auto pointer =
        co_await with_nursery([](nursery&) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(6); });
    CHECK(*pointer == 6);
    co_await with_nursery([](nursery&) -> task<> { co_return; });
  });
}

TEST_CASE("nursery: spawn starts nothing before the next batch") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      bool ran = false;
      n.spawn([&]() -> task<> {
        ran = true;
        co_return;
      });
      CHECK_FALSE(ran);
      co_await settle();
      CHECK(ran);
    });
  });
}

TEST_CASE("nursery: children start in the order in which they were spawned") {
  simulation world;
  std::string order;
  run(world.how(), [&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (char c : {'a', 'b', 'c', 'd'}) {
        n.spawn(
            [&](char me) -> task<> {
              order += me;
              co_return;
            },
            c);
      }
      co_return;
    });
  });
  CHECK(order == "abcd");
}

TEST_CASE("nursery: a child spawned by a child keeps the nursery open") {
  kit::in_every_order([](simulation&) -> task<> {
    int depth_reached = 0;
    co_await with_nursery([&](nursery& n) { return spawn_next(n, depth_reached, 1); });
    CHECK(depth_reached == 10);
  });
}

// --- What is handed over

TEST_CASE("nursery: function and arguments live in the child, and end with it") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally t;
    std::size_t seen = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      {
        const kit::balanced captured(t);
        const auto work = [captured, &seen](const kit::balanced& argument) -> task<> {
          co_await sleep_for(1ms);
          seen = captured.text().size() + argument.text().size();
        };
        n.spawn(work, kit::balanced(t));
      }
      CHECK(t.alive == 2);
      co_return;
    });
    CHECK(seen == 2 * kit::balanced(t).text().size());
    CHECK(t.alive == 0);
  });
}

TEST_CASE("nursery: spawn takes references, views and pointers where it is told so") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string text = "seven letters";
    std::size_t sum = 0;
    int number = 1;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto literal = n.spawn(length_of, "four");
      auto view = n.spawn(
          [](std::string_view v) -> task<std::size_t> {
            co_await yield_now();
            co_return v.size();
          },
          borrowed(std::string_view(text)));
      n.spawn(
          [](int* p) -> task<> {
            ++*p;
            co_return;
          },
          borrowed(&number));
      n.spawn(
          [](int& r) -> task<> {
            ++r;
            co_return;
          },
          std::ref(number));
      n.spawn(
          [](std::unique_ptr<int> p) -> task<> {
            CHECK(*p == 9);
            co_return;
          },
          std::make_unique<int>(9));
      sum = co_await literal;
      sum += co_await view;
    });
    CHECK(sum == 4 + text.size());
    CHECK(number == 3);
  });
}

TEST_CASE("nursery: spawn takes what gives any awaitable, not only a task") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    co_await with_nursery([](nursery& n) -> task<> {
      n.spawn([] { return sleep_for(3ms); });
      co_return;
    });
    CHECK(world.clock().now() - start == 3ms);
  });
}

TEST_CASE("nursery: what a spawned function throws before it gives a task goes to the one who spawns") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      const auto refuses = []() -> task<> { throw std::runtime_error("refused"); };
      CHECK_THROWS_AS(n.spawn(refuses), std::runtime_error);
      CHECK(n.size() == 0);
      co_return;
    });
  });
}

// --- Jobs

TEST_CASE("job: gives the result, before or after the child has ended, and after the nursery") {
  kit::in_every_order([](simulation&) -> task<> {
    std::optional<job<int>> late;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto early = n.spawn(give, 1);
      CHECK_FALSE(early.done());
      const int first = co_await early;
      CHECK(first == 1);
      CHECK(early.done());
      auto finished = n.spawn(give, 2);
      co_await settle();
      CHECK(finished.done());
      const int second = co_await finished;
      CHECK(second == 2);
      late = n.spawn(give, 3);
    });
    CHECK(late->done());
    const int third = co_await *late;
    CHECK(third == 3);
  });
}

TEST_CASE("job: may be dropped, before and after the child has ended") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally t;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto make = [&]() -> task<kit::balanced> { co_return kit::balanced(t); };
      n.spawn(make);
      {
        auto kept = n.spawn(make);
        co_await settle();
        CHECK(kept.done());
        CHECK(t.alive == 1);  // the result waits in the job that is still there
      }
      CHECK(t.alive == 0);
    });
  });
}

TEST_CASE("job: has a number of its own, and the name that it was given") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      auto named = n.spawn(name("conn 7"), give, 1);
      auto unnamed = n.spawn(give, 1);
      CHECK(named.name() == "conn 7");
      CHECK(unnamed.name().empty());
      CHECK(named.id() != unnamed.id());
      co_return;
    });
  });
}

TEST_CASE("job: an error of the child comes out of the await, and of the nursery as well") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string at_the_await;
    auto body = [&](nursery& n) -> task<> {
      auto fails = n.spawn(throw_after, 0ms, "child");
      try {
        co_await shield([](job<void> j) -> task<> { co_await j; }(fails));
      } catch (const std::runtime_error& e) {
        at_the_await = e.what();
      }
    };
    const std::string error = co_await error_of(body);
    CHECK(error == "child");
    CHECK(at_the_await == "child");
  });
}

TEST_CASE("job: cancelled, its child ends, and that is no error of the nursery") {
  kit::in_every_order([](simulation&) -> task<> {
    bool other_ended = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto endless = n.spawn([]() -> task<> { co_await sleep_forever(); });
      auto never_begun = n.spawn([]() -> task<int> {
        FAIL_CHECK("it was cancelled before it began");
        co_return 1;
      });
      n.spawn([&]() -> task<> {
        co_await sleep_for(5ms);
        other_ended = true;
      });
      never_begun.cancel();
      co_await settle();
      CHECK(never_begun.done());
      endless.cancel();
      co_await settle();
      CHECK(endless.done());
      endless.cancel();  // of a job that is done: changes nothing
      bool told = false;
      try {
        co_await never_begun;
      } catch (const task_cancelled&) {
        told = true;
      }
      CHECK(told);
    });
    CHECK(other_ended);
  });
}

TEST_CASE("job: many tasks wait for one, and one that is cancelled leaves the others waiting") {
  kit::in_every_order([](simulation&) -> task<> {
    event finish;
    int woken = 0, cancelled_waits = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto work = n.spawn([&]() -> task<> { co_await finish.wait(); });
      std::vector<job<void>> waiting;
      for (int i = 0; i < 10; ++i) {
        waiting.push_back(n.spawn([&]() -> task<> {
          try {
            co_await work;
            ++woken;
          } catch (const cancelled&) {
            ++cancelled_waits;
            throw;
          }
        }));
      }
      co_await settle();
      waiting[3].cancel();
      waiting[7].cancel();
      co_await settle();
      CHECK(cancelled_waits == 2);
      finish.set();
    });
    CHECK(woken == 8);
  });
}

// --- Errors

TEST_CASE("nursery: the first error cancels the body and the other children, and comes out when all have ended") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    int cancelled_children = 0;
    bool body_cancelled = false;
    auto body = [&](nursery& n) -> task<> {
      for (int i = 0; i < 3; ++i) {
        n.spawn([&]() -> task<> { co_await finally(sleep_forever(), sleep_for(4ms)); });
        n.spawn([&]() -> task<> {
          try {
            co_await sleep_forever();
          } catch (const cancelled&) {
            ++cancelled_children;
            throw;
          }
        });
      }
      n.spawn(throw_after, 2ms, "first");
      try {
        co_await sleep_forever();
      } catch (const cancelled&) {
        body_cancelled = true;
        throw;
      }
    };
    const std::string error = co_await error_of(body);
    CHECK(error == "first");
    CHECK(cancelled_children == 3);
    CHECK(body_cancelled);
    CHECK(world.clock().now() - start == 6ms);
  });
}

TEST_CASE("nursery: an error of the body cancels the children") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    auto body = [&](nursery& n) -> task<> {
      n.spawn([]() -> task<> { co_await sleep_forever(); });
      co_await sleep_for(1ms);
      throw std::runtime_error("body");
    };
    const std::string error = co_await error_of(body);
    CHECK(error == "body");
    CHECK(world.clock().now() - start == 1ms);
  });
}

TEST_CASE("nursery: a body that throws before it gives a task ends the nursery in order") {
  kit::in_every_order([](simulation&) -> task<> {
    auto body = [](nursery& n) -> task<> {
      n.spawn([]() -> task<> { co_await sleep_forever(); });
      throw std::runtime_error("no task");
    };
    const std::string error = co_await error_of(body);
    CHECK(error == "no task");
  });
}

TEST_CASE("nursery: of several errors the first comes out, and the others are counted") {
  kit::in_every_order([](simulation&) -> task<> {
    const std::uint64_t unseen = this_scheduler().stats().errors_unseen;
    auto body = [](nursery& n) -> task<> {
      n.spawn(throw_after, 1ms, "first");
      n.spawn([]() -> task<> {
        const auto fails = []() -> task<> {
          throw std::runtime_error("clean-up");
          co_return;
        };
        co_await finally(sleep_forever(), fails);
      });
      co_return;
    };
    const std::string error = co_await error_of(body);
    CHECK(error == "first");
    CHECK(this_scheduler().stats().errors_unseen == unseen + 1);
  });
}

TEST_CASE("nursery: an error that comes to it both from the child and from the body is one error") {
  kit::in_every_order([](simulation&) -> task<> {
    const std::uint64_t unseen = this_scheduler().stats().errors_unseen;
    auto body = [](nursery& n) -> task<> {
      auto fails = n.spawn(throw_after, 1ms, "once");
      co_await shield([](job<void> j) -> task<> { co_await j; }(fails));
    };
    const std::string error = co_await error_of(body);
    CHECK(error == "once");
    CHECK(this_scheduler().stats().errors_unseen == unseen);
  });
}

TEST_CASE("nursery: a child's error during a cancel request from outside is not lost") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string caught;
    auto body = [](nursery& n) -> task<> {
      n.spawn([]() -> task<> {
        const auto fails = []() -> task<> {
          throw std::runtime_error("clean-up");
          co_return;
        };
        co_await finally(sleep_forever(), fails);
      });
      co_return;
    };
    try {
      co_await move_on_after(1ms, with_nursery(body));
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    CHECK(caught == "clean-up");
  });
}

TEST_CASE("nursery: an exception that is no std::exception comes out as what it is") {
  kit::in_every_order([](simulation&) -> task<> {
    int caught = 0;
    try {
      co_await with_nursery([](nursery& n) -> task<> {
        n.spawn([]() -> task<> {
          throw 17;
          co_return;
        });
        co_return;
      });
    } catch (int number) {
      caught = number;
    }
    CHECK(caught == 17);
  });
}

// --- Cancelling

TEST_CASE("nursery: cancelled, it ends quietly when all have ended") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    bool after_cancel = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([]() -> task<> { co_await finally(sleep_forever(), sleep_for(3ms)); });
      co_await sleep_for(1ms);
      CHECK_FALSE(n.cancel_requested());
      n.cancel();
      CHECK(n.cancel_requested());
      co_await yield_now();
      after_cancel = true;
    });
    CHECK_FALSE(after_cancel);
    CHECK(world.clock().now() - start == 4ms);
    co_await yield_now();  // the scope around it is not cancelled
  });
}

TEST_CASE("nursery: cancelled before its body had a result, it throws task_cancelled; after, it gives the result") {
  kit::in_every_order([](simulation&) -> task<> {
    bool told = false;
    try {
      co_await with_nursery([](nursery& n) -> task<int> {
        n.cancel();
        co_await yield_now();
        co_return 1;
      });
    } catch (const task_cancelled&) {
      told = true;
    }
    CHECK(told);
    const int value = co_await with_nursery([](nursery& n) -> task<int> {
      n.cancel();
      co_return 2;
    });
    CHECK(value == 2);
  });
}

TEST_CASE("nursery: what is spawned into a cancelled one never begins, and its arguments are freed") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally t;
    bool told = false;
    std::optional<job<int>> dropped;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.cancel();
      dropped = n.spawn(
          [](kit::balanced) -> task<int> {
            FAIL_CHECK("began in a cancelled nursery");
            co_return 1;
          },
          kit::balanced(t));
      co_return;
    });
    CHECK(t.alive == 0);
    CHECK(dropped->done());
    try {
      co_await *dropped;
    } catch (const task_cancelled&) {
      told = true;
    }
    CHECK(told);
  });
}

TEST_CASE("nursery: a child may spawn while the nursery is being cancelled: the new one never begins") {
  kit::in_every_order([](simulation&) -> task<> {
    bool begun = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        bool was_cancelled = false;
        try {
          co_await sleep_forever();
        } catch (const cancelled&) {
          was_cancelled = true;
        }
        if (was_cancelled) {
          n.spawn([&]() -> task<> {
            begun = true;
            co_return;
          });
        }
      });
      co_await settle();
      n.cancel();
    });
    CHECK_FALSE(begun);
  });
}

TEST_CASE("nursery: a child that cancels its own nursery sees that at its next await") {
  kit::in_every_order([](simulation&) -> task<> {
    bool went_on = false, threw = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        n.cancel();
        went_on = true;
        try {
          co_await yield_now();
        } catch (const cancelled&) {
          threw = true;
          throw;
        }
      });
      co_await sleep_forever();
    });
    CHECK(went_on);
    CHECK(threw);
  });
}

TEST_CASE("nursery: a body that catches `cancelled` and returns a value is heard, and its children still end first") {
  kit::in_every_order([](simulation&) -> task<> {
    bool child_ended = false;
    const int value = co_await with_nursery([&](nursery& n) -> task<int> {
      n.spawn([&]() -> task<> {
        co_await shield(sleep_for(5ms));
        child_ended = true;
      });
      co_await settle();
      n.cancel();
      int result = 0;
      try {
        co_await sleep_forever();
      } catch (const cancelled&) {
        result = 3;
      }
      co_return result;
    });
    CHECK(value == 3);
    CHECK(child_ended);
  });
}

TEST_CASE("nursery: a cancel request from outside that ends a child is seen, although the body had returned") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto body = [](nursery& n) -> task<int> {
      n.spawn([]() -> task<> { co_await sleep_forever(); });
      co_return 1;
    };
    const auto ended = co_await move_on_after(1ms, with_nursery(body));
    CHECK_FALSE(ended.has_value());
  });
}

TEST_CASE("nursery: a cancel request from outside that ends nobody early does not take the result away") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto body = [](nursery& n) -> task<int> {
      n.spawn([]() -> task<> { co_await shield(sleep_for(5ms)); });
      co_return 1;
    };
    const auto value = co_await move_on_after(1ms, with_nursery(body));
    CHECK(value == 1);
    const auto ends_its_helper = [](nursery& n) -> task<int> {
      n.spawn([]() -> task<> { co_await finally(sleep_forever(), sleep_for(5ms)); });
      co_await settle();
      n.cancel();
      co_return 2;
    };
    const auto other = co_await move_on_after(1ms, with_nursery(ends_its_helper));
    CHECK(other == 2);
  });
}

TEST_CASE("nursery: nested ones end from the inside out") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string log;
    co_await with_nursery([&](nursery& outer) -> task<> {
      outer.spawn([&]() -> task<> {
        try {
          co_await with_nursery([&](nursery& inner) -> task<> {
            inner.spawn([&]() -> task<> {
              try {
                co_await sleep_forever();
              } catch (const cancelled&) {
                log += "child ";
                throw;
              }
            });
            co_return;
          });
        } catch (const cancelled&) {
          log += "inner ";
          throw;
        }
      });
      co_await settle();
      outer.cancel();
    });
    log += "outer";
    CHECK(log == "child inner outer");
  });
}

// --- Against a model

namespace {

/// A nursery whose children are started, ended, cancelled and made to fail at random. The model: what each child was
/// told is what became of it; the nursery ends after the last one, with the first error if there was one.
struct children {
  enum class fate { not_begun, lives, returned, was_cancelled, failed };
  struct child {
    event told;
    bool shall_fail = false;
    bool cancelled_by_us = false;
    fate became = fate::not_begun;
    std::optional<job<int>> handle;
  };

  std::vector<std::unique_ptr<child>> all;
  std::size_t alive = 0;
  int first_to_fail = -1;

  task<int> live(int number) {
    child& me = *all[static_cast<std::size_t>(number)];
    me.became = fate::lives;
    ++alive;
    try {
      co_await me.told.wait();
    } catch (const cancelled&) {
      me.became = fate::was_cancelled;
      --alive;
      throw;
    }
    --alive;
    me.became = me.shall_fail ? fate::failed : fate::returned;
    if (me.shall_fail && first_to_fail == -1) first_to_fail = number;
    if (me.shall_fail) throw number;
    co_return number;
  }
};

task<> play(nursery& n, kit::random& draw, children& model, int steps) {
  for (int step = 0; step < steps; ++step) {
    if (model.all.empty() || draw.below(3) == 0) {
      const int number = static_cast<int>(model.all.size());
      auto& c = model.all.emplace_back(std::make_unique<children::child>());
      c->handle = n.spawn([&model](int which) { return model.live(which); }, number);
      co_await settle();
    } else {
      auto& c = *model.all[draw.below(model.all.size())];
      if (draw.one_in(2)) {
        c.cancelled_by_us = c.became == children::fate::lives && !c.told.is_set();
        c.handle->cancel();
      } else {
        c.shall_fail = c.shall_fail || (c.became == children::fate::lives && draw.one_in(60));
        c.told.set();
      }
    }
    if (draw.one_in(2)) co_await settle();
    CHECK(n.size() >= model.alive);
  }
  co_await settle();
  CHECK(n.size() == model.alive);
  n.cancel();
}

task<> check(children& model, bool nursery_failed) {
  for (std::size_t number = 0; number < model.all.size(); ++number) {
    auto& c = *model.all[number];
    CHECK(c.handle->done());
    CHECK(c.became != children::fate::lives);
    if (c.became == children::fate::not_begun) CHECK(nursery_failed);
    if (c.cancelled_by_us) CHECK(c.became == children::fate::was_cancelled);
    int result = -1;
    try {
      result = co_await *c.handle;
    } catch (const task_cancelled&) {
      CHECK((c.became == children::fate::was_cancelled || c.became == children::fate::not_begun));
    } catch (int error) {
      CHECK(c.became == children::fate::failed);
      CHECK(error == static_cast<int>(number));
      CHECK(nursery_failed);
    }
    if (result != -1) CHECK(result == static_cast<int>(number));
  }
}

}  // namespace

TEST_CASE("nursery: children that are started, cancelled and made to fail at random end as a simple model says") {
  kit::in_random_worlds(60, [](simulation&, kit::random& draw) -> task<> {
    children model;
    int error = -1;
    try {
      co_await with_nursery([&](nursery& n) { return play(n, draw, model, 200); });
    } catch (int number) {
      error = number;
    }
    CHECK(error == model.first_to_fail);
    CHECK(model.alive == 0);
    co_await check(model, error != -1);
  });
}
