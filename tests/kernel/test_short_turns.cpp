// Tests on the kernel: tasks that only take turns with each other keep nobody else waiting, and time goes on meanwhile.
// Why without in_time(): where a timer is set, the loop has its say in each turn.
#include "kernel.hpp"

#include "kit/nests.hpp"

#include <array>
#include <thread>

using namespace kernel;

namespace {

/// Two tasks that take turns until somebody says that it is enough. Outlives them.
class busy {
 public:
  void begin(nursery& n) {
    for (int i = 0; i < 2; ++i) n.spawn(&busy::yield_on, std::ref(*this));
  }
  void enough() noexcept { over_ = true; }

 private:
  static task<> yield_on(busy& self) {
    const auto limit = std::chrono::steady_clock::now() + time_limit;
    for (long turns = 0; !self.over_; ++turns) {
      if (turns % 1000 == 0 && std::chrono::steady_clock::now() > limit) throw std::runtime_error("nobody said enough");
      co_await yield_now();
    }
  }

  bool over_ = false;
};

/// body: (busy&, nursery&) -> task<>. Runs beside tasks that are always ready.
template <class Body>
void beside_busy_tasks(Body body) {
  run([&]() -> task<> {
    busy others;
    const auto all = [&](nursery& n) -> task<> {
      others.begin(n);
      auto work = body(others, n);
      co_await std::move(work);
    };
    co_await with_nursery(all);
  });
}

task<> wait_for_byte(pipe_reader& from, busy& others) {
  std::array<std::byte, 1> byte{};
  const std::size_t got = co_await from.read_some(byte);
  CHECK(got == 1);
  others.enough();
}

}  // namespace

TEST_CASE("short turns: a function that another thread posts gets in") {
  beside_busy_tasks([](busy& others, nursery&) -> task<> {
    event told;
    const post_handle loop = this_scheduler().handle();
    std::jthread other([&] {
      std::this_thread::sleep_for(5ms);
      loop.post([&] { told.set(); });
    });
    co_await told.wait();
    others.enough();
  });
}

TEST_CASE("short turns: a function on a thread pool comes back") {
  beside_busy_tasks([](busy& others, nursery&) -> task<> {
    const int answer = co_await offload([] {
      std::this_thread::sleep_for(5ms);
      return 42;
    });
    CHECK(answer == 42);
    others.enough();
  });
}

TEST_CASE("short turns: what another thread writes arrives") {
  beside_busy_tasks([](busy& others, nursery&) -> task<> {
    auto [from, to] = make_pipe();
    ssize_t written = 0;
    std::jthread other([&written, fd = to.fd()] {
      std::this_thread::sleep_for(5ms);
      written = ::write(fd, "x", 1);
    });
    co_await wait_for_byte(from, others);
    other.join();
    CHECK(written == 1);
  });
}

TEST_CASE("short turns: what a task submits between its turns is carried out") {
  beside_busy_tasks([](busy& others, nursery& n) -> task<> {
    auto [from, to] = make_pipe();
    auto reads = n.spawn(wait_for_byte, std::ref(from), std::ref(others));
    for (int i = 0; i < 100; ++i) co_await yield_now();
    co_await to.write_all("x");
    co_await reads;
  });
}

TEST_CASE("short turns: the time goes on, and is the same during a turn") {
  run([]() -> task<> {
    const time_point start = this_scheduler().now();
    const auto limit = std::chrono::steady_clock::now() + time_limit;
    while (this_scheduler().now() < start + 5ms && std::chrono::steady_clock::now() < limit) {
      const time_point now = this_scheduler().now();
      std::this_thread::sleep_for(1us);
      REQUIRE(this_scheduler().now() == now);
      co_await yield_now();
    }
    CHECK(this_scheduler().now() >= start + 5ms);
  });
}

TEST_CASE("short turns: a timer that is set meanwhile fires on time") {
  beside_busy_tasks([](busy& others, nursery&) -> task<> {
    for (int i = 0; i < 100; ++i) co_await yield_now();
    const auto start = std::chrono::steady_clock::now();
    co_await sleep_for(5ms);
    CHECK(std::chrono::steady_clock::now() - start >= 5ms);
    others.enough();
  });
}

TEST_CASE("short turns: are turns like others: each task has one step in each, and all are counted") {
  run([]() -> task<> {
    std::string order;
    const auto note = [&order](char name) -> task<> {
      for (int i = 0; i < 1000; ++i) {
        order += name;
        co_await yield_now();
      }
    };
    const std::uint64_t before = this_scheduler().stats().turns;
    co_await when_all(note('a'), note('b'), note('c'));
    const std::uint64_t turns = this_scheduler().stats().turns - before;
    std::string expected;
    for (int i = 0; i < 1000; ++i) expected += "abc";
    CHECK(order == expected);
    CHECK(turns >= 1000);
    CHECK(turns < 1010);
  });
}

TEST_CASE("short turns: tasks that begin and end in them are joined in order") {
  run([]() -> task<> {
    const auto body = [](nursery& n) -> task<> {
      std::vector<int> ended;
      const auto end_after = [&ended](int yields) -> task<> {
        for (int i = 0; i < yields; ++i) co_await yield_now();
        ended.push_back(yields);
      };
      for (int round = 0; round < 100; ++round) {
        ended.clear();
        std::vector<job<void>> jobs;
        for (int yields = 5; yields >= 0; --yields) jobs.push_back(n.spawn(std::ref(end_after), yields));
        for (auto& each : jobs) co_await each;
        REQUIRE(ended == std::vector<int>{0, 1, 2, 3, 4, 5});
      }
    };
    co_await with_nursery(body);
  });
}

TEST_CASE("short turns: none begins inside of an await_suspend that runs coroutines") {
  run([]() -> task<> {
    event first_may, second_may, third_may;
    int ended = 0;
    const auto first = [&]() -> task<> {
      const std::uint64_t me = detail::current.task->id();
      co_await kit::wait_nested(first_may);
      CHECK(detail::current.task->id() == me);
      third_may.set();
      ++ended;
    };
    const auto second = [&]() -> task<> {
      co_await kit::wait_nested(second_may);
      ++ended;
    };
    const auto third = [&]() -> task<> {
      first_may.set();
      co_await yield_now();
      co_await third_may.wait();
      ++ended;
      second_may.set();
    };
    const auto body = [&](nursery& n) -> task<> {
      n.spawn(first);
      n.spawn(second);
      n.spawn(third);
      co_return;
    };
    co_await with_nursery(body);
    CHECK(ended == 3);
  });
}
