// Tests on the kernel: what other threads post reaches the loop, in order, whatever the loop is doing.
#include "kernel.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

using namespace kernel;

TEST_CASE("post: from another thread wakes a loop that blocks, and 1,000 posts run in order") {
  in_time([]() -> task<> {
    event done;
    std::vector<int> order;
    const post_handle loop = this_scheduler().handle();
    std::jthread other([&] {
      for (int i = 0; i < 1000; ++i) {
        loop.post([&, i] {
          order.push_back(i);
          if (i == 999) done.set();
        });
        if (i % 100 == 0) std::this_thread::sleep_for(1ms);  // lets the loop block again
      }
    });
    co_await done.wait();
    REQUIRE(order.size() == 1000);
    for (int i = 0; i < 1000; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
  });
}

TEST_CASE("post: a single one wakes a loop that blocks for good, each time") {
  in_time([]() -> task<> {
    const post_handle loop = this_scheduler().handle();
    std::atomic<int> wanted{0};
    std::atomic<bool> over{false};
    event told;
    std::jthread other([&] {
      for (int sent = 0; !over;) {
        if (wanted == sent) continue;
        ++sent;
        loop.post([&] { told.set(); });
      }
    });
    for (int round = 0; round < 2000; ++round) {
      told.clear();
      ++wanted;
      co_await told.wait();
    }
    over = true;
  });
}

TEST_CASE("post: many threads at once lose nothing, and each one's posts stay in order") {
  in_time([]() -> task<> {
    constexpr int threads = 4, each = 5000;
    event done;
    int total = 0;
    int last[threads] = {-1, -1, -1, -1};
    int out_of_order = 0;
    const post_handle loop = this_scheduler().handle();
    std::vector<std::jthread> others;
    for (int t = 0; t < threads; ++t) {
      others.emplace_back([&, t] {
        for (int i = 0; i < each; ++i) {
          loop.post([&, t, i] {
            out_of_order += last[t] + 1 != i;
            last[t] = i;
            if (++total == threads * each) done.set();
          });
        }
      });
    }
    co_await done.wait();
    CHECK(total == threads * each);
    CHECK(out_of_order == 0);
  });
}

TEST_CASE("post: what a loop that ends accepted is run, and what it did not is refused") {
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> accepted{0};
    int ran = 0;
    std::optional<post_handle> loop;
    std::atomic<bool> started{false};
    std::jthread other([&] {
      while (!started) std::this_thread::yield();
      while (loop->post([&] { ++ran; })) ++accepted;
    });
    run([&]() -> task<> {
      loop.emplace(this_scheduler().handle());
      started = true;
      co_await sleep_for(std::chrono::microseconds(round * 10));
    });
    other.join();
    CHECK(ran == accepted);
  }
}

TEST_CASE("post: the one that ends the loop may still be under way when run() returns") {
  for (int round = 0; round < 500; ++round) {
    std::jthread other;
    run([&]() -> task<> {
      event done;
      scheduler& loop = this_scheduler();
      other = std::jthread([&] { loop.post([&] { done.set(); }); });
      co_await done.wait();
    });
  }
}

TEST_CASE("post: a handle that outlives its loop refuses") {
  std::optional<post_handle> late;
  run([&]() -> task<> {
    late.emplace(this_scheduler().handle());
    co_return;
  });
  bool ran = false;
  CHECK_FALSE(late->post([&] { ran = true; }));
  CHECK_FALSE(ran);
}

TEST_CASE("post: a loop that waits for a handle's holder only is not in a deadlock until the handle goes") {
  std::string text;
  try {
    run([]() -> task<> {
      event never;
      std::jthread other([loop = std::make_unique<post_handle>(this_scheduler().handle())]() mutable {
        std::this_thread::sleep_for(50ms);
        loop.reset();
      });
      co_await never.wait();
    });
  } catch (const deadlock_error& e) {
    text = e.what();
  }
  CHECK_THAT(text, kit::contains("wait for an event"));
}

TEST_CASE("post: from the loop itself runs soon, and functions may post again") {
  in_time([]() -> task<> {
    scheduler& loop = this_scheduler();
    event done;
    std::string order;
    loop.post([&] {
      order += 'a';
      loop.post([&] {
        order += 'c';
        done.set();
      });
      order += 'b';
    });
    CHECK(order.empty());
    co_await done.wait();
    CHECK(order == "abc");
  });
}

TEST_CASE("post: reaches a loop that is busy without a system call for each") {
  in_time([]() -> task<> {
    const post_handle loop = this_scheduler().handle();
    std::atomic<bool> posted{false};
    int ran = 0;
    std::jthread other([&] {
      for (int i = 0; i < 10'000; ++i) loop.post([&] { ++ran; });
      posted = true;
    });
    const statistics before = this_scheduler().stats();
    while (!posted) co_await yield_now();
    co_await yield_now();
    const statistics after = this_scheduler().stats();
    CHECK(ran == 10'000);
    CHECK(after.enters - before.enters <= 10);
  });
}

TEST_CASE("post: loops on several threads post to each other") {
  constexpr int rounds = 500;
  std::atomic<bool> both_ready[2] = {false, false};
  std::optional<post_handle> handles[2];
  int hits[2] = {0, 0};
  const auto player = [&](int me) {
    run([&]() -> task<> {
      event over;
      handles[me].emplace(this_scheduler().handle());
      both_ready[me] = true;
      while (!both_ready[1 - me]) co_await sleep_for(1ms);
      event turn;
      for (int round = 0; round < rounds; ++round) {
        handles[1 - me]->post([&hits, me] { ++hits[1 - me]; });
        co_await yield_now();
      }
      while (hits[me] < rounds) co_await sleep_for(1ms);
    });
  };
  std::jthread other([&] { player(1); });
  player(0);
  other.join();
  CHECK(hits[0] == rounds);
  CHECK(hits[1] == rounds);
}
