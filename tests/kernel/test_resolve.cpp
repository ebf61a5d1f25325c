// Tests on the kernel: names are looked up off the loop, failures say which name, and a cancelled look-up is left
// behind.
#include "kernel.hpp"

#include <algorithm>
#include <atomic>
#include <semaphore>
#include <thread>

#include <netdb.h>

using namespace kernel;

namespace {

// A label has at most 63 bytes: no look-up leaves the machine for this one.
const std::string impossible_name(300, 'x');

/// All workers of the default pool are busy until release().
class busy_workers {
 public:
  /// Spawns the tasks that keep them busy, and waits until they are.
  task<> seize(nursery& n) {
    const std::size_t workers = default_pool().workers();
    for (std::size_t i = 0; i < workers; ++i) {
      n.spawn([this]() -> task<> {
        co_await offload([this] {
          ++held_;
          open_.acquire();
        });
      });
    }
    while (held_ < workers) co_await sleep_for(1ms);
  }
  void release() { open_.release(static_cast<std::ptrdiff_t>(held_.load())); }

 private:
  std::atomic<std::size_t> held_{0};
  std::counting_semaphore<> open_{0};
};

task<> look_up_localhost() {
  co_await resolve("localhost", 80);
}

}  // namespace

TEST_CASE("resolve: a numeric address is itself, at once and without a thread") {
  in_time([]() -> task<> {
    for (const char* host : {"127.0.0.1", "::1", "1.2.3.4"}) {
      const statistics before = this_scheduler().stats();
      const std::vector<endpoint> found = co_await resolve(host, 80);
      CHECK(found == std::vector<endpoint>{endpoint(host, 80)});
      CHECK(this_scheduler().stats().turns == before.turns);
    }
  });
}

TEST_CASE("resolve: localhost gives loopback addresses, each once, with the port that was asked for") {
  in_time([]() -> task<> {
    const std::vector<endpoint> found = co_await resolve("localhost", 5566);
    REQUIRE_FALSE(found.empty());
    for (const endpoint& one : found) {
      CHECK(one.is_loopback());
      CHECK(one.port() == 5566);
      CHECK(std::count(found.begin(), found.end(), one) == 1);
    }
    CHECK(std::count(found.begin(), found.end(), endpoint("127.0.0.1", 5566)) == 1);
  });
}

TEST_CASE("resolve: a name that there cannot be is an error that names it, with the resolver's code") {
  in_time([]() -> task<> {
    std::string what;
    std::error_code code;
    try {
      co_await resolve(impossible_name, 80);
    } catch (const resolve_error& e) {
      what = e.what();
      code = e.code();
    }
    CHECK_THAT(what, kit::contains("resolve " + impossible_name + ": "));
    CHECK(code.category() == resolver_category());
    CHECK_THAT(what, kit::contains(code.message()));
    CHECK(this_scheduler().stats().offloads == 0);
    auto work = resolve(impossible_name, 80);
    const auto as_value = co_await as_result(std::move(work));
    CHECK(as_value.error() == code);
  });
}

TEST_CASE("resolve: connecting by a name that there cannot be fails with that error, and opens no socket") {
  in_time([]() -> task<> {
    co_await resolve("localhost", 1);  // makes the pool
    const auto before = open_descriptors();
    bool failed = false;
    try {
      co_await tcp_stream::connect(impossible_name, 80);
    } catch (const resolve_error&) {
      failed = true;
    }
    CHECK(failed);
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("resolve: many at once all get their answers") {
  in_time([]() -> task<> {
    int answers = 0, failures = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int i = 0; i < 100; ++i) {
        n.spawn(
            [&](int number) -> task<> {
              try {
                const auto port = static_cast<std::uint16_t>(number);
                std::string host = "localhost";
                if (number % 2 != 0) host = impossible_name;
                const std::vector<endpoint> found = co_await resolve(std::move(host), port);
                answers += found.front().port() == port;
              } catch (const resolve_error&) {
                ++failures;
              }
            },
            i);
      }
      co_return;
    });
    CHECK(answers == 50);
    CHECK(failures == 50);
  });
}

TEST_CASE("resolve: a look-up that waits or runs ends at once when it is cancelled, and no wait is left over") {
  in_time([]() -> task<> {
    busy_workers workers;
    co_await with_nursery([&](nursery& n) -> task<> {
      co_await workers.seize(n);
      const auto busy = this_scheduler().stats().offloads;
      for (int i = 0; i < 20; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const bool finished = co_await move_on_after(1ms, look_up_localhost());
        CHECK_FALSE(finished);
        CHECK(std::chrono::steady_clock::now() - start < 10s);
      }
      CHECK(this_scheduler().stats().offloads == busy);
      workers.release();
    });
    const std::vector<endpoint> found = co_await resolve("localhost", 80);
    CHECK_FALSE(found.empty());
  });
}

TEST_CASE("resolve: what was cancelled before it began asks nobody") {
  in_time([]() -> task<> {
    cancel_scope scope;
    scope.cancel();
    const auto body = []() -> task<> {
      try {
        co_await resolve("localhost", 80);
      } catch (const cancelled&) {
        CHECK(this_scheduler().stats().offloads == 0);
        throw;
      }
    };
    const bool finished = co_await scope.run(body);
    CHECK_FALSE(finished);
  });
}

TEST_CASE("resolve: a look-up that was left behind may end after its loop") {
  std::atomic<int> step{0};
  std::jthread other([&] {
    run([&]() -> task<> {
      busy_workers workers;
      co_await with_nursery([&](nursery& n) -> task<> {
        co_await workers.seize(n);
        step = 1;
        while (step < 2) co_await sleep_for(1ms);
        workers.release();
      });
    });
  });
  in_time([&]() -> task<> {
    while (step < 1) co_await sleep_for(1ms);
    const bool finished = co_await move_on_after(1ms, look_up_localhost());
    CHECK_FALSE(finished);
  });
  step = 2;
  other.join();
}
