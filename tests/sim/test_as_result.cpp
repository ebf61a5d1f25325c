// Tests of ringlet/as_result.hpp and ringlet/result.hpp.
#include "kit/sim.hpp"

#include <ringlet/as_result.hpp>
#include <ringlet/event.hpp>
#include <ringlet/mutex.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/timeout.hpp>

#include <array>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

task<std::unique_ptr<int>> make_number(int n) {
  co_return std::make_unique<int>(n);
}

task<int> fails_with(int code) {
  co_await yield_now();
  throw os_error("read", 7, code);
}

task<> throws_something_else() {
  throw std::out_of_range("no system error");
  co_return;
}

/// An awaiter that fails when it is to wait.
struct refuses_to_wait {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<>) { throw os_error("wait", 7, EBUSY); }
  void await_resume() {}
};

}  // namespace

TEST_CASE("as_result: gives the value where there is one") {
  kit::in_every_order([](simulation&) -> task<> {
    auto made = co_await as_result(make_number(5));
    REQUIRE(made);
    CHECK(made.has_value());
    CHECK_FALSE(made.error());
    CHECK(**made == 5);
    const std::unique_ptr<int> taken = std::move(made).value();
    CHECK(*taken == 5);
    const auto slept = co_await as_result(sleep_for(1ms));
    CHECK(slept.has_value());
    int number = 3;
    const auto refer = [](int& n) -> task<int&> { co_return n; };
    const auto reference = co_await as_result(refer(number));
    CHECK(*reference == &number);
  });
}

TEST_CASE("as_result: gives the code of an operation's error, and of a task's system_error") {
  kit::in_every_order(fault_plan().fail(operation::receive, 1, ECONNRESET), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::array<std::byte, 8> buffer{};
    auto got = co_await as_result(b.read_some(buffer));
    CHECK_FALSE(got);
    CHECK(got.error() == std::errc::connection_reset);
    CHECK_THROWS_AS(got.value(), std::system_error);
    const auto from_task = co_await as_result(fails_with(EMFILE));
    CHECK(from_task.error() == std::errc::too_many_files_open);
    co_await a.close();
  });
}

TEST_CASE("as_result: the end of the time is an error code, too") {
  kit::in_every_order([](simulation&) -> task<> {
    const auto late = co_await as_result(with_timeout(1ms, make_number(1)));
    CHECK(late.has_value());
    const auto over = co_await as_result(with_timeout(1ms, sleep_forever()));
    CHECK(over.error() == std::errc::timed_out);
    const auto inside = co_await with_timeout(1s, as_result(fails_with(EPIPE)));
    CHECK(inside.error() == std::errc::broken_pipe);
  });
}

TEST_CASE("as_result: lets other errors and a cancel request through") {
  kit::in_every_order([](simulation&) -> task<> {
    bool caught = false;
    try {
      static_cast<void>(co_await as_result(throws_something_else()));
    } catch (const std::out_of_range&) {
      caught = true;
    }
    CHECK(caught);
    event e;
    const auto ended = co_await move_on_after(1ms, as_result(e.wait()));
    CHECK_FALSE(ended.has_value());
    bool went_on = false;
    cancel_scope scope;
    const bool whole = co_await scope.run([&]() -> task<> {
      scope.cancel();
      static_cast<void>(co_await as_result(sleep_for(1ms)));
      went_on = true;
    });
    CHECK_FALSE(whole);
    CHECK_FALSE(went_on);
  });
}

TEST_CASE("as_result: an error that comes before the wait is a code as well") {
  kit::in_every_order([](simulation&) -> task<> {
    mutex m;
    const auto guard = co_await m.lock();
    const auto again = co_await as_result(with_timeout(1s, m.lock()));
    CHECK(again.error() == std::errc::resource_deadlock_would_occur);
  });
}

TEST_CASE("as_result: what an operation takes for success is success") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    co_await b.close();
    const auto shut = co_await as_result(a.shutdown_send());  // the peer has gone: no error
    CHECK(shut.has_value());
  });
}

TEST_CASE("as_result: awaits that fail before they wait leave the others their turns") {
  kit::in_every_order([](simulation&) -> task<> {
    int turns_of_other = 0;
    bool over = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        while (!over) {
          ++turns_of_other;
          co_await yield_now();
        }
      });
      co_await yield_now();
      for (int i = 0; i < 10'000; ++i) {
        const auto refused = co_await as_result(refuses_to_wait());
        REQUIRE_FALSE(refused);
      }
      over = true;
    });
    CHECK(turns_of_other > 50);  // 128 awaits a step
  });
}
