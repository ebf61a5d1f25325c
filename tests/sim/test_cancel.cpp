// Tests of ringlet/cancel.hpp, and of the seven rules of cancellation.
#include "kit/counted.hpp"
#include "kit/sim.hpp"

#include <ringlet/cancel.hpp>
#include <ringlet/event.hpp>
#include <ringlet/mutex.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/offload.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_any.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <thread>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// Counts how many of the awaits that it makes throw `cancelled`.
task<int> count_cancelled_awaits(int awaits) {
  int thrown = 0;
  for (int i = 0; i < awaits; ++i) {
    try {
      switch (i % 3) {
        case 0: co_await sleep_for(1ms); break;
        case 1: co_await yield_now(); break;
        default: co_await checkpoint();
      }
    } catch (const cancelled&) {
      ++thrown;
    }
  }
  co_return thrown;
}

/// An awaiter that says itself that it was cancelled, and notes whether an exception was asked for nevertheless.
class silent_sleep : public detail::sleep_awaiter {
 public:
  explicit silent_sleep(bool& asked_to_throw) : sleep_awaiter(never), asked_to_throw_(&asked_to_throw) {}
  void await_resume() const {
    *asked_to_throw_ = true;
    sleep_awaiter::await_resume();
  }

 private:
  bool* asked_to_throw_;
};

}  // namespace

// --- The seven rules

TEST_CASE("cancel: rule 1: once requested it stays, and every later await in the scope throws") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope scope;
    int thrown = 0;
    co_await scope.run([&]() -> task<> {
      scope.cancel();
      thrown = co_await count_cancelled_awaits(9);
    });
    CHECK(thrown == 9);
    CHECK(scope.cancel_requested());
  });
}

TEST_CASE("cancel: a scope gives a reference to the same object, or none when it was cancelled") {
  kit::in_every_order([](simulation&) -> task<> {
    int number = 1;
    const auto refer = [&number]() -> task<int&> {
      co_await checkpoint();
      co_return number;
    };
    cancel_scope scope;
    const optional_reference<int> given = co_await scope.run(refer);
    CHECK(&*given == &number);
    scope.cancel();
    const optional_reference<int> none = co_await scope.run(refer);
    CHECK_FALSE(none.has_value());
  });
}

TEST_CASE("cancel: rule 1: tasks spawned inside see it too, and those outside do not") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope scope;
    int inside = 0, outside = 0;
    co_await scope.run([&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          co_await shield(sleep_for(1ms));  // so that it has begun before the request
          inside = co_await count_cancelled_awaits(3);
        });
        co_await settle();
        scope.cancel();
      });
    });
    outside = co_await count_cancelled_awaits(3);
    CHECK(inside == 3);
    CHECK(outside == 0);
  });
}

TEST_CASE("cancel: rule 1: an await of something that is ready throws as well") {
  kit::in_every_order([](simulation&) -> task<> {
    event is_set;
    is_set.set();
    cancel_scope scope;
    int thrown = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto finished = n.spawn([]() -> task<int> { co_return 1; });
      co_await settle();
      CHECK(finished.done());
      co_await scope.run([&]() -> task<> {
        scope.cancel();
        try {
          co_await is_set.wait();
        } catch (const cancelled&) {
          ++thrown;
        }
        try {
          co_await finished;
        } catch (const cancelled&) {
          ++thrown;
        }
      });
      const int still_there = co_await finished;
      CHECK(still_there == 1);
    });
    CHECK(thrown == 2);
  });
}

TEST_CASE("cancel: rule 2: done beats cancelled: bytes that were received are given, and the next await throws") {
  kit::in_every_order(fault_plan().delay(3ms), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::array<std::byte, 8> buffer{};
    std::size_t got = 0;
    bool next_threw = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto reader = n.spawn([&]() -> task<> {
        got = co_await b.read_some(buffer);
        try {
          co_await yield_now();
        } catch (const cancelled&) {
          next_threw = true;
        }
      });
      n.spawn([&]() -> task<> { co_await a.write_all("abc"); });
      co_await sleep_for(1ms);
      CHECK(got == 0);  // they were received, but the completion is still on its way
      reader.cancel();
    });
    CHECK(got == 3);
    CHECK(next_threw);
  });
}

TEST_CASE("cancel: rule 2: a wait that has ended before the request gives its value") {
  kit::in_every_order([](simulation&) -> task<> {
    event e;
    bool went_on = false, next_threw = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await e.wait();
        went_on = true;
        try {
          co_await e.wait();
        } catch (const cancelled&) {
          next_threw = true;
        }
      });
      co_await settle();
      e.set();
      n.cancel();
    });
    CHECK(went_on);
    CHECK(next_threw);
  });
}

TEST_CASE("cancel: rule 2: a composite transfer that is cancelled says how much it has moved") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection(10);
    std::array<std::byte, 100> buffer{};
    std::size_t got = 99, sent = 99;
    const bool filled = co_await move_on_after(5ms, b.read_exactly(buffer, got));
    CHECK_FALSE(filled);
    CHECK(got == 0);
    co_await a.write_all("12345");
    const bool filled_now = co_await move_on_after(5ms, b.read_exactly(buffer, got));
    CHECK_FALSE(filled_now);
    CHECK(got == 5);
    const bool written = co_await move_on_after(5ms, a.write_all(std::string_view(std::string(100, 'x')), sent));
    CHECK_FALSE(written);
    CHECK(sent == 10);
  });
}

TEST_CASE("cancel: rule 2: an operation that the kernel asks to repeat while it is being cancelled did not happen") {
  for (const int error : {EINTR, EAGAIN, ECONNABORTED}) {
    kit::in_every_order(fault_plan().delay(3ms).fail(operation::accept, 1, error), [](simulation& world) -> task<> {
      auto listener = world.listener();
      bool unwound = false;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          try {
            co_await listener.accept();
          } catch (const cancelled&) {
            unwound = true;
            throw;
          }
        });
        co_await sleep_for(1ms);  // the error is on its way by now
        n.cancel();
      });
      CHECK(unwound);
      CHECK(world.asked(operation::accept) == 1);
    });
  }
}

TEST_CASE("cancel: rule 3: the task stays suspended until the operation's own last completion") {
  kit::in_every_order(fault_plan().delay(3ms), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    time_point requested, unwound;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        std::array<std::byte, 8> buffer{};
        try {
          co_await b.read_some(buffer);
        } catch (const cancelled&) {
          unwound = world.clock().now();
          throw;
        }
      });
      co_await sleep_for(1ms);
      requested = world.clock().now();
      n.cancel();
    });
    CHECK(unwound - requested == 3ms);
  });
}

TEST_CASE("cancel: rule 4: a task that has started is resumed and unwinds; one that has not is dropped") {
  kit::in_every_order([](simulation&) -> task<> {
    kit::tally t;
    int begun = 0, unwound = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      const auto work = [&](kit::balanced) -> task<> {
        ++begun;
        try {
          co_await sleep_forever();
        } catch (const cancelled&) {
          ++unwound;
          throw;
        }
      };
      const kit::balanced argument(t);
      n.spawn(work, argument);
      co_await settle();
      n.spawn(work, argument);
      n.cancel();
    });
    CHECK(begun == 1);
    CHECK(unwound == 1);
    CHECK(t.alive == 0);
  });
}

TEST_CASE("cancel: rule 5: a timeout of a single operation takes its end from it, without an exception") {
  kit::in_every_order([](simulation&) -> task<> {
    bool asked_to_throw = false;
    const bool came = co_await move_on_after(1ms, silent_sleep(asked_to_throw));
    CHECK_FALSE(came);
    const auto [slept, quick] = co_await when_any(silent_sleep(asked_to_throw), sleep_for(1ms));
    CHECK_FALSE(slept.has_value());
    CHECK(quick.has_value());
    CHECK_FALSE(asked_to_throw);
  });
}

TEST_CASE("cancel: rule 6: what losers own is released: a connection accepted too late to win is closed") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    try {
      co_await when_any(listener.accept(), []() -> task<> {
        co_await yield_now();
        throw std::runtime_error("the race is void");
      }());
    } catch (const std::runtime_error&) {
    }
    std::array<std::byte, 1> buffer{};
    const std::size_t got = co_await client.read_some(buffer);
    CHECK(got == 0);  // the other end is closed, and the kit looks for a leaked descriptor
  });
}

TEST_CASE("cancel: rule 6: a connection that nobody accepted before the cancel request stays in the queue") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto listener = world.listener();
    const auto nobody = co_await move_on_after(1ms, listener.accept());
    CHECK_FALSE(nobody.has_value());
    tcp_stream client = world.connect_to(listener);
    const auto refused = co_await move_on_after(0ms, listener.accept());
    CHECK_FALSE(refused.has_value());
    tcp_stream server = co_await listener.accept();
    CHECK(server.fd() >= 0);
  });
}

TEST_CASE("cancel: rule 7: a function that runs on a thread delays the end of the scope") {
  kit::in_every_order([](simulation&) -> task<> {
    std::atomic<bool> begun = false, released = false, ended = false;
    thread_pool pool(1);
    cancel_scope scope;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await scope.run([&]() -> task<> {
          co_await pool.run([&] {
            begun = true;
            while (!released) std::this_thread::yield();
            ended = true;
          });
        });
        CHECK(ended);
      });
      while (!begun) co_await yield_now();
      scope.cancel();
      for (int i = 0; i < 5; ++i) co_await yield_now();
      released = true;
    });
  });
}

TEST_CASE("cancel: rule 7: a function with a leading stop_token is told") {
  kit::in_every_order([](simulation&) -> task<> {
    std::atomic<bool> begun = false;
    bool was_told = false;
    thread_pool pool(1);
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        was_told = co_await pool.run([&](std::stop_token stop) {
          begun = true;
          while (!stop.stop_requested()) std::this_thread::yield();
          return true;
        });
      });
      while (!begun) co_await yield_now();
      n.cancel();
    });
    CHECK(was_told);
  });
}

// --- cancel_scope

TEST_CASE("cancel_scope: gives the value of what ran in it, and nothing when it was cancelled") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope first;
    const auto value = co_await first.run([]() -> task<int> { co_return 4; });
    CHECK(value == 4);
    CHECK_FALSE(first.cancel_requested());
    const bool whole = co_await first.run([]() -> task<> { co_await yield_now(); });
    CHECK(whole);

    cancel_scope second;
    const auto none = co_await second.run([&]() -> task<int> {
      second.cancel();
      co_await yield_now();
      co_return 4;
    });
    CHECK_FALSE(none.has_value());
    const bool ended = co_await second.run([]() -> task<> { co_await yield_now(); });
    CHECK_FALSE(ended);
  });
}

TEST_CASE("cancel_scope: cancelled, it lets through a value that came all the same, and an error") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope scope;
    const auto value = co_await scope.run([&]() -> task<int> {
      scope.cancel();
      co_return 4;
    });
    CHECK(value == 4);
    bool caught = false;
    try {
      co_await scope.run([]() -> task<> {
        bool was_cancelled = false;
        try {
          co_await yield_now();
        } catch (const cancelled&) {
          was_cancelled = true;
        }
        if (was_cancelled) throw std::runtime_error("clean-up failed");
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught);
  });
}

TEST_CASE("cancel_scope: cancelled before it runs, it starts cancelled, and again each time") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope scope;
    scope.cancel();
    for (int i = 0; i < 3; ++i) {
      bool passed = false;
      const bool whole = co_await scope.run([&]() -> task<> {
        co_await yield_now();
        passed = true;
      });
      CHECK_FALSE(whole);
      CHECK_FALSE(passed);
    }
  });
}

TEST_CASE("cancel_scope: of two nested scopes the one that was cancelled ends, and no other") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope outer, inner;
    bool between = false;
    const bool outer_whole = co_await outer.run([&]() -> task<> {
      const bool inner_whole = co_await inner.run([&]() -> task<> {
        inner.cancel();
        co_await sleep_forever();
      });
      CHECK_FALSE(inner_whole);
      co_await yield_now();
      between = true;
      outer.cancel();
      co_await inner.run([&]() -> task<> { co_await sleep_forever(); });
      FAIL("the outer scope's request went no further than the inner scope");
    });
    CHECK(between);
    CHECK_FALSE(outer_whole);
  });
}

TEST_CASE("cancel_scope: a callable that throws before there is a task leaves the scope in order") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope scope;
    bool caught = false;
    try {
      co_await scope.run([]() -> task<> { throw std::runtime_error("no task"); });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught);
    const bool usable = co_await scope.run([]() -> task<> { co_return; });
    CHECK(usable);
  });
}

TEST_CASE("cancel_scope: one that is cancelled twice, or after its end, changes nothing more") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope scope;
    int thrown = 0;
    co_await scope.run([&]() -> task<> {
      scope.cancel();
      scope.cancel();
      thrown = co_await count_cancelled_awaits(2);
    });
    scope.cancel();
    CHECK(thrown == 2);
    const int later = co_await count_cancelled_awaits(2);
    CHECK(later == 0);
  });
}

TEST_CASE("cancel_scope: many levels of scopes and nurseries are all reached by one request") {
  kit::in_every_order([](simulation&) -> task<> {
    cancel_scope top;
    int unwound = 0;
    const auto leaf = [&]() -> task<> {
      try {
        co_await sleep_forever();
      } catch (const cancelled&) {
        ++unwound;
        throw;
      }
    };
    co_await with_nursery([&](nursery& outside) -> task<> {
      outside.spawn([&]() -> task<> {
        co_await top.run([&]() -> task<> {
          co_await with_nursery([&](nursery& a) -> task<> {
            for (int i = 0; i < 3; ++i) {
              a.spawn([&]() -> task<> {
                cancel_scope local;
                co_await local.run([&]() -> task<> {
                  co_await with_nursery([&](nursery& b) -> task<> {
                    b.spawn(leaf);
                    b.spawn(leaf);
                    co_await with_timeout(1h, leaf());
                  });
                });
              });
            }
            co_await leaf();
          });
        });
      });
      co_await settle();
      top.cancel();
    });
    CHECK(unwound == 3 * 3 + 1);
  });
}

// --- shield

TEST_CASE("shield: what it awaits goes on to its end, and the next await sees the request") {
  kit::in_every_order([](simulation& world) -> task<> {
    cancel_scope scope;
    const time_point start = world.clock().now();
    bool next_threw = false;
    co_await scope.run([&]() -> task<> {
      scope.cancel();
      co_await shield(sleep_for(5ms));
      CHECK(world.clock().now() - start == 5ms);
      try {
        co_await yield_now();
      } catch (const cancelled&) {
        next_threw = true;
      }
    });
    CHECK(next_threw);
  });
}

TEST_CASE("shield: a request that comes while it waits goes past, to the siblings and to the next await") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    time_point shielded_until, sibling_until;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        co_await shield(with_nursery([](nursery& inner) -> task<> {
          inner.spawn([]() -> task<> { co_await sleep_for(10ms); });
          co_return;
        }));
        shielded_until = world.clock().now();
        co_await sleep_forever();
      });
      n.spawn([&]() -> task<> {
        try {
          co_await sleep_forever();
        } catch (const cancelled&) {
          sibling_until = world.clock().now();
          throw;
        }
      });
      co_await sleep_for(2ms);
      n.cancel();
    });
    CHECK(shielded_until - start == 10ms);
    CHECK(sibling_until - start == 2ms);
  });
}

TEST_CASE("shield: a scope inside it can still be cancelled, and a timeout inside it still ends") {
  kit::in_every_order([](simulation& world) -> task<> {
    cancel_scope outer;
    const time_point start = world.clock().now();
    co_await outer.run([&]() -> task<> {
      outer.cancel();
      const bool came = co_await shield(move_on_after(5ms, sleep_forever()));
      CHECK_FALSE(came);
      CHECK(world.clock().now() - start == 5ms);
    });
  });
}

TEST_CASE("shield: gives the value and the error of what it awaits") {
  kit::in_every_order([](simulation&) -> task<> {
    const int value = co_await shield([]() -> task<int> { co_return 3; }());
    CHECK(value == 3);
    bool caught = false;
    try {
      co_await shield([]() -> task<> {
        throw std::runtime_error("inside");
        co_return;
      }());
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught);
  });
}

// --- checkpoint

TEST_CASE("checkpoint: throws in a cancelled scope, and else goes on at once") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns_of_other = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        ++turns_of_other;
        co_return;
      });
      co_await checkpoint();
      CHECK(turns_of_other == 0);
    });
  });
}

TEST_CASE("checkpoint: lets others run when the task has had its share") {
  kit::in_every_order([](simulation&) -> task<> {
    bool other_ran = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        other_ran = true;
        co_return;
      });
      for (int i = 0; i < 1000; ++i) co_await checkpoint();
      CHECK(other_ran);
    });
  });
}

// --- finally

TEST_CASE("finally: cleans up after a value, an error and a cancel request alike") {
  kit::in_every_order([](simulation&) -> task<> {
    int cleaned = 0;
    const auto clean = [&]() -> task<> {
      co_await sleep_for(1ms);
      ++cleaned;
    };
    const int value = co_await finally([]() -> task<int> { co_return 6; }(), clean);
    CHECK(value == 6);
    CHECK(cleaned == 1);
    bool caught = false;
    try {
      co_await finally(
          []() -> task<> {
            throw std::runtime_error("body");
            co_return;
          }(),
          clean);
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught);
    CHECK(cleaned == 2);
    const bool came = co_await move_on_after(1ms, finally(sleep_forever(), clean));
    CHECK_FALSE(came);
    CHECK(cleaned == 3);
  });
}

TEST_CASE("finally: the clean-up awaits unmoved by the cancel request, and a close in it always closes") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const int fd = a.fd();
    CHECK(fd >= 0);
    const auto say_goodbye = [&]() -> task<> {
      co_await a.write_all("bye");
      co_await a.close();
    };
    co_await move_on_after(1ms, finally(sleep_forever(), say_goodbye));
    CHECK(a.fd() == -1);
    std::array<std::byte, 8> buffer{};
    const std::size_t got = co_await b.read_some(buffer);
    CHECK(got == 3);
  });
}

TEST_CASE("finally: an error of the clean-up takes the place of what the body gave") {
  kit::in_every_order([](simulation&) -> task<> {
    std::string caught;
    const auto fails = []() -> task<> {
      throw std::runtime_error("clean-up");
      co_return;
    };
    try {
      co_await finally([]() -> task<int> { co_return 1; }(), fails);
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    CHECK(caught == "clean-up");
  });
}

TEST_CASE("finally: cleans up after a body that fails before it waits") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    const auto guard = co_await m.lock();
    bool cleaned = false, caught = false;
    const auto clean = [&]() -> task<> {
      cleaned = true;
      co_return;
    };
    try {
      const auto guard = co_await finally(m.lock(), clean);
    } catch (const std::system_error&) {
      caught = true;
    }
    CHECK(caught);
    CHECK(cleaned);
  });
}

TEST_CASE("finally: takes an awaitable as clean-up, too") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = world.clock().now();
    co_await move_on_after(1ms, finally(sleep_forever(), sleep_for(2ms)));
    CHECK(world.clock().now() - start == 3ms);
  });
}

TEST_CASE("cancel: a close in a cancelled task closes, and a shield around the rest lets it say goodbye") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    cancel_scope scope;
    co_await scope.run([&]() -> task<> {
      scope.cancel();
      co_await a.close();
      CHECK(a.fd() == -1);
    });
    std::array<std::byte, 1> buffer{};
    const std::size_t got = co_await b.read_some(buffer);
    CHECK(got == 0);
  });
}

TEST_CASE("cancel: of a task that awaits a job leaves the job alone; of the job, throws task_cancelled at the await") {
  kit::in_every_order([](simulation&) -> task<> {
    event finish;
    bool awaiter_unwound = false, was_told = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      auto work = n.spawn([&]() -> task<int> {
        co_await finish.wait();
        co_return 8;
      });
      auto waiting = n.spawn([&]() -> task<> {
        try {
          co_await work;
        } catch (const cancelled&) {
          awaiter_unwound = true;
          throw;
        }
      });
      co_await settle();
      waiting.cancel();
      co_await settle();
      CHECK(awaiter_unwound);
      CHECK_FALSE(work.done());
      finish.set();
      const int value = co_await work;
      CHECK(value == 8);

      auto endless = n.spawn([]() -> task<int> {
        co_await sleep_forever();
        co_return 1;
      });
      co_await settle();
      endless.cancel();
      try {
        co_await endless;
      } catch (const task_cancelled&) {
        was_told = true;
      }
    });
    CHECK(was_told);
  });
}
