// Tests of ringlet/task_local.hpp.
#include "kit/counted.hpp"
#include "kit/sim.hpp"
#include "kit/tasks.hpp"

#include <ringlet/async_generator.hpp>
#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/offload.hpp>
#include <ringlet/task_local.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_all.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#if TEST_FIBERS
#include <ringlet/fiber.hpp>
#endif

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

const task_local<int> number(-1);
const task_local<std::string> word;

using bind_number = task_local<int>::binding;
using bind_word = task_local<std::string>::binding;

task<int> see_number() {
  co_await yield_now();
  co_return number.get();
}

task<int> see_after(event& when) {
  co_await when.wait();
  co_return number.get();
}

}  // namespace

TEST_CASE("task_local: without a binding there is the default, also outside of tasks") {
  CHECK(number.get() == -1);
  CHECK(word.get().empty());
  kit::in_every_order([](simulation&) -> task<> {
    CHECK(number.get() == -1);
    co_await with_nursery([&](nursery& n) -> task<> {
      const int seen = co_await n.spawn(see_number);
      CHECK(seen == -1);
    });
  });
}

TEST_CASE("task_local: a task and what it calls see the innermost binding, and the outer one again after it") {
  kit::in_every_order([](simulation&) -> task<> {
    const bind_number outer(number, 1);
    const bind_word other(word, "a word that is too long for the small string");
    {
      const bind_number inner(number, 2);
      const int seen = co_await see_number();
      CHECK(seen == 2);
      CHECK(word.get().size() == 44);
    }
    const int seen = co_await see_number();
    CHECK(seen == 1);
  });
  CHECK(number.get() == -1);
}

TEST_CASE("task_local: tasks do not see each other's bindings") {
  kit::in_every_order([](simulation&) -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int me = 0; me < 10; ++me) {
        n.spawn(
            [](int mine) -> task<> {
              const bind_number here(number, mine);
              for (int i = 0; i < 10; ++i) {
                CHECK(number.get() == mine);
                const bind_number inner(number, mine + 100);
                co_await yield_now();
                CHECK(number.get() == mine + 100);
              }
            },
            me);
      }
      co_await yield_now();
      CHECK(number.get() == -1);
    });
  });
}

TEST_CASE("task_local: a child sees what its spawner saw when it was spawned, whatever comes later") {
  kit::in_every_order([](simulation&) -> task<> {
    event go;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto before = n.spawn(see_after, std::ref(go));
      std::optional<bind_number> here(std::in_place, number, 1);
      const auto meanwhile = n.spawn(see_after, std::ref(go));
      here.reset();
      const auto after = n.spawn(see_after, std::ref(go));
      const bind_number another(number, 2);
      const auto later = n.spawn(see_after, std::ref(go));
      co_await settle();
      go.set();
      const int seen_before = co_await before;
      const int seen_meanwhile = co_await meanwhile;
      const int seen_after = co_await after;
      const int seen_later = co_await later;
      CHECK(seen_before == -1);
      CHECK(seen_meanwhile == 1);
      CHECK(seen_after == -1);
      CHECK(seen_later == 2);
    });
  });
}

TEST_CASE("task_local: grandchildren inherit, and what a child binds is not seen by its parent") {
  kit::in_every_order([](simulation&) -> task<> {
    const bind_number here(number, 1);
    int grandchild = 0, great_grandchild = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await with_nursery([&](nursery& inner) -> task<> {
          grandchild = co_await inner.spawn(see_number);
          const bind_number deeper(number, 2);
          inner.spawn([&]() -> task<> { great_grandchild = co_await see_number(); });
          co_await yield_now();
        });
      });
      co_await sleep_for(1ms);
      CHECK(number.get() == 1);
    });
    CHECK(grandchild == 1);
    CHECK(great_grandchild == 2);
  });
}

TEST_CASE("task_local: it is the spawner that counts, not whose nursery it is") {
  kit::in_every_order([](simulation&) -> task<> {
    event go;
    std::optional<job<int>> stranger;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto spawner = n.spawn([&]() -> task<> {
        const bind_number here(number, 7);
        stranger = n.spawn(see_after, std::ref(go));
        co_return;
      });
      co_await spawner;
      go.set();
      const int seen = co_await *stranger;
      CHECK(seen == 7);
    });
  });
}

TEST_CASE("task_local: combinators and scopes of the library hand the binding on") {
  kit::in_every_order([](simulation&) -> task<> {
    const bind_number here(number, 3);
    const auto both = co_await when_all(see_number(), see_number());
    CHECK((std::get<0>(both) == 3 && std::get<1>(both) == 3));
    const int in_time = co_await with_timeout(1ms, see_number());
    CHECK(in_time == 3);
    const int shielded = co_await shield(see_number());
    CHECK(shielded == 3);
  });
}

TEST_CASE("task_local: a posted function and a function on a thread see the default") {
  kit::in_every_order([](simulation&) -> task<> {
    const bind_number here(number, 3);
    int posted = 0;
    this_scheduler().post([&] { posted = number.get(); });
    co_await yield_now();
    co_await yield_now();
    CHECK(posted == -1);
    const int on_thread = co_await offload([] { return number.get(); });
    CHECK(on_thread == -1);
    CHECK(number.get() == 3);
  });
}

TEST_CASE("task_local: a value lives until the last task has ended that sees it, and no longer") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally count;
    const task_local<std::optional<kit::balanced>> object;
    using bind_object = task_local<std::optional<kit::balanced>>::binding;
    event go;
    std::optional<job<std::size_t>> kept;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto see = [&]() -> task<std::size_t> {
        co_await go.wait();
        co_return object.get()->text().size();
      };
      {
        const bind_object unseen(object, kit::balanced(count));
        CHECK(count.alive == 1);
      }
      CHECK(count.alive == 0);
      {
        const bind_object seen(object, kit::balanced(count));
        kept = n.spawn(see);
        n.spawn(see);
        auto never_begun = n.spawn(see);
        never_begun.cancel();
      }
      co_await settle();
      CHECK(count.alive == 1);
      go.set();
      const std::size_t size = co_await *kept;
      CHECK(size > 10);
      co_await settle();
      CHECK(count.alive == 0);
    });
  });
}

TEST_CASE("task_local: a binding ends when an error or a cancel request unwinds its scope") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto fail = []() -> task<> {
      const bind_number here(number, 1);
      co_await yield_now();
      throw std::runtime_error("on purpose");
    };
    const auto failed = co_await detail::as_outcome(fail());
    CHECK(failed.has_error());
    CHECK(number.get() == -1);
    const auto wait = []() -> task<> {
      const bind_number here(number, 1);
      co_await sleep_forever();
    };
    const bool whole = co_await move_on_after(1ms, wait());
    CHECK_FALSE(whole);
    CHECK(number.get() == -1);
  });
}

TEST_CASE("task_local: what can only be moved can be bound") {
  kit::in_every_order([](simulation&) -> task<> {
    const task_local<std::unique_ptr<int>> pointer;
    const task_local<std::unique_ptr<int>>::binding here(pointer, std::make_unique<int>(5));
    co_await with_nursery([&](nursery& n) -> task<> {
      const int seen = co_await n.spawn([&]() -> task<int> { co_return *pointer.get(); });
      CHECK(seen == 5);
    });
  });
}

TEST_CASE("task_local: one that is made where another one was is still another one") {
  kit::in_every_order([](simulation&) -> task<> {
    event go;
    std::optional<task_local<int>> renewed(std::in_place, 0);
    co_await with_nursery([&](nursery& n) -> task<> {
      std::optional<bind_number> here(std::in_place, *renewed, 1);
      const auto child = n.spawn([&]() -> task<int> {
        co_await go.wait();
        co_return renewed->get();
      });
      here.reset();
      renewed.emplace(2);
      go.set();
      const int seen = co_await child;
      CHECK(seen == 2);
    });
  });
}

TEST_CASE("task_local: a list of 100,000 bindings that only a child still sees goes without deep recursion") {
  kit::in_every_order([](simulation&) -> task<> {
    event go;
    co_await with_nursery([&](nursery& n) -> task<> {
      std::vector<std::unique_ptr<bind_number>> many;
      for (int i = 0; i < 100'000; ++i) many.push_back(std::make_unique<bind_number>(number, i));
      const auto child = n.spawn(see_after, std::ref(go));
      while (!many.empty()) many.pop_back();
      CHECK(number.get() == -1);
      go.set();
      const int seen = co_await child;
      CHECK(seen == 99'999);
    });
  });
}

TEST_CASE("task_local: wherever a task is cancelled, no binding is left") {
  kit::in_every_order([](simulation&) -> task<> {
    auto body = [&]() -> task<> {
      const bind_number here(number, 1);
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn(see_number);
        const bind_number inner(number, 2);
        n.spawn(see_number);
        co_await yield_now();
      });
    };
    co_await for_each_cancel_point(body);
    CHECK(number.get() == -1);
  });
}

TEST_CASE("task_local: an asynchronous generator sees what the task sees that asks for a value") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto numbers = []() -> async_generator<int> {
      for (;;) {
        co_await yield_now();
        co_yield number.get();
      }
    };
    async_generator<int> values = numbers();
    const auto without = co_await values.next();
    CHECK(without == -1);
    const bind_number here(number, 4);
    const auto with = co_await values.next();
    CHECK(with == 4);
  });
}

#if TEST_FIBERS
TEST_CASE("task_local: a fiber sees what its task sees, and may bind") {
  kit::in_every_order([](simulation&) -> task<> {
    const bind_number here(number, 1);
    const auto body = [] {
      const int before = number.get();
      const bind_number inner(number, 5);
      fiber::await(yield_now());
      return before * 10 + fiber::await(see_number());
    };
    const int seen = co_await in_fiber(body);
    CHECK(seen == 15);
    CHECK(number.get() == 1);
  });
}
#endif
