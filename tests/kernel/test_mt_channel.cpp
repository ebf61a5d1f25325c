// Tests on the kernel: mt_channel between threads and loops: nothing is lost, nobody blocks a loop, and it ends.
#include "kernel.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

using namespace kernel;

// Why no CHECK on other threads: the test framework counts on one thread only.

namespace {

/// Who sent a value, and the how manieth of his it is.
struct parcel {
  int sender;
  int number;
};

/// Sees to it that each sender's parcels are in order and complete. On one thread.
class parcel_check {
 public:
  explicit parcel_check(int senders) : next_(static_cast<std::size_t>(senders), 0) {}
  void arrived(const parcel& p) {
    int& next = next_[static_cast<std::size_t>(p.sender)];
    if (p.number != next++) ++out_of_order_;
  }
  bool complete(int each) const { return out_of_order_ == 0 && next_ == std::vector<int>(next_.size(), each); }

 private:
  std::vector<int> next_;
  int out_of_order_ = 0;
};

/// Threads that send `each` parcels, the last of which to finish closes the channel.
class sending_threads {
 public:
  sending_threads(mt_channel<parcel>& to, int senders, int each) : sending_(senders) {
    for (int who = 0; who < senders; ++who) {
      threads_.emplace_back([this, &to, who, each] {
        for (int i = 0; i < each; ++i) to.blocking_send({who, i});
        if (--sending_ == 0) to.close();
      });
    }
  }

 private:
  std::atomic<int> sending_;
  std::vector<std::jthread> threads_;
};

}  // namespace

TEST_CASE("mt_channel: of four threads that send, all values arrive, each thread's in order, at any capacity") {
  constexpr int senders = 4, each = 3000;
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{64}, mt_channel<int>::unbounded}) {
    mt_channel<parcel> c(capacity);
    const sending_threads threads(c, senders, each);
    parcel_check check(senders);
    in_time([&]() -> task<> {
      while (const auto p = co_await c.receive()) check.arrived(*p);
    });
    CHECK(check.complete(each));
  }
}

TEST_CASE("mt_channel: four tasks share what four threads send, and none goes without") {
  constexpr int senders = 4, receivers = 4, each = 2000;
  mt_channel<parcel> c(8);
  const sending_threads threads(c, senders, each);
  std::vector<int> received(receivers, 0);
  parcel_check check(senders);
  in_time([&]() -> task<> {
    co_await with_nursery([&](nursery& n) -> task<> {
      for (int& count : received) {
        n.spawn(
            [&](int& mine) -> task<> {
              while (const auto p = co_await c.receive()) {
                check.arrived(*p);
                ++mine;
                co_await yield_now();
              }
            },
            std::ref(count));
      }
      co_return;
    });
  });
  int total = 0;
  for (const int count : received) {
    CHECK(count > 0);
    total += count;
  }
  CHECK(total == senders * each);
}

TEST_CASE("mt_channel: loops send to one loop, waiting for room without standing still") {
  constexpr int loops = 4, each = 2000;
  mt_channel<parcel> c(2);
  std::atomic<int> sending{loops - 1};
  std::atomic<int> ticks{0};
  parcel_check check(loops - 1);
  run_on_threads(loops, [&]() -> task<> {
    const int me = static_cast<int>(thread_index());
    if (me == 0) {
      co_await sleep_for(20ms);  // all senders have to wait
      while (const auto p = co_await c.receive()) check.arrived(*p);
      co_return;
    }
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        for (int i = 0; i < 5; ++i) {
          co_await sleep_for(1ms);
          ++ticks;
        }
      });
      for (int i = 0; i < each; ++i) {
        const bool taken = co_await c.send(parcel{me - 1, i});
        if (!taken) throw std::runtime_error("refused");
      }
    });
    if (--sending == 0) c.close();
  });
  CHECK(ticks == 5 * (loops - 1));
  CHECK(check.complete(each));
}

TEST_CASE("mt_channel: every loop has one, and they pass a token round") {
  constexpr std::size_t loops = 3;
  constexpr int rounds = 300;
  std::vector<std::unique_ptr<mt_channel<int>>> inboxes;
  for (std::size_t i = 0; i < loops; ++i) inboxes.push_back(std::make_unique<mt_channel<int>>(1));
  const std::vector<int> seen = run_on_threads(static_cast<int>(loops), [&]() -> task<int> {
    mt_channel<int>& own = *inboxes[thread_index()];
    mt_channel<int>& next = *inboxes[(thread_index() + 1) % loops];
    if (thread_index() == 0) co_await next.send(1);
    int last = 0;
    while (const auto token = co_await own.receive()) {
      last = *token;
      if (last >= rounds) break;
      co_await next.send(last + 1);
    }
    next.close();
    co_return last;
  });
  int most = 0;
  for (const int last : seen) most = std::max(most, last);
  CHECK(most == rounds);
}

TEST_CASE("mt_channel: a single value wakes a loop that blocks, each time") {
  mt_channel<int> there(1);
  std::atomic<int> wanted{0};
  std::jthread other([&] {
    for (int sent = 0; sent < 1000;) {
      if (wanted == sent) continue;
      ++sent;
      there.blocking_send(sent);
    }
  });
  in_time([&]() -> task<> {
    for (int round = 1; round <= 1000; ++round) {
      ++wanted;
      const auto got = co_await there.receive();
      REQUIRE(got == round);
    }
  });
}

TEST_CASE("mt_channel: while the receiving task has something to do, sending costs no wake-up") {
  mt_channel<int> c(mt_channel<int>::unbounded);
  in_time([&]() -> task<> {
    const auto nothing = c.try_receive();
    CHECK_FALSE(nothing.has_value());
    const std::uint64_t turns = this_scheduler().stats().turns;
    std::thread([&] {
      for (int i = 0; i < 10'000; ++i) c.try_send(i);
    }).join();
    for (int i = 0; i < 10'000; ++i) {
      const auto got = co_await c.receive();
      REQUIRE(got == i);
    }
    // A turn for each time that the budget of 128 awaits is spent, and nothing for the sending.
    CHECK(this_scheduler().stats().turns - turns <= 10'000 / 100);
  });
}

TEST_CASE("mt_channel: senders that wait are refused when the receiving loop ends, on threads and in loops") {
  mt_channel<int> c(1);
  std::atomic<int> refused{0};
  std::atomic<int> waiting{0};
  const auto fill = [&] {
    ++waiting;
    while (c.blocking_send(1)) {
    }
    ++refused;
  };
  const auto fill_from_loop = [&] {
    run([&]() -> task<> {
      ++waiting;
      for (;;) {
        const bool taken = co_await c.send(1);
        if (!taken) break;
      }
      ++refused;
    });
  };
  std::vector<std::jthread> others;
  for (int i = 0; i < 2; ++i) others.emplace_back(fill);
  for (int i = 0; i < 2; ++i) others.emplace_back(fill_from_loop);
  in_time([&]() -> task<> {
    while (waiting < 4) co_await sleep_for(1ms);
    for (int i = 0; i < 100; ++i) co_await c.receive();
  });
  others.clear();
  CHECK(refused == 4);
  CHECK(c.closed());
}

TEST_CASE("mt_channel: what was accepted is either received or still in the channel, however the loop ends") {
  for (int round = 0; round < 50; ++round) {
    mt_channel<int> c(8);
    int accepted = 0;
    int received = 0;
    std::jthread sender([&] {
      while (c.blocking_send(1)) ++accepted;
    });
    in_time([&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 3; ++i) {
          n.spawn([&]() -> task<> {
            while (co_await c.receive()) ++received;
          });
        }
        co_await sleep_for(std::chrono::microseconds(100 * (round % 10)));
        n.cancel();
      });
    });
    sender.join();
    in_time([&]() -> task<> {
      while (co_await c.receive()) ++received;
    });
    REQUIRE(received == accepted);
  }
}

TEST_CASE("mt_channel: cancel requests that race with another loop's receiving lose and duplicate nothing") {
  mt_channel<int> c(1);
  std::atomic<int> accepted{0};
  std::atomic<int> given_up{0};
  int received = 0;
  run_on_threads(2, [&]() -> task<> {
    if (thread_index() == 0) {
      while (co_await c.receive()) ++received;
      co_return;
    }
    for (int i = 0; i < 500; ++i) {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int k = 0; k < 4; ++k) {
          n.spawn([&]() -> task<> {
            const bool taken = co_await c.send(1);
            if (taken) ++accepted;
          });
        }
        co_await yield_now();
        n.cancel();
      });
      ++given_up;
    }
    c.close();
  });
  CHECK(received == accepted);
  CHECK(given_up == 500);
}

TEST_CASE("mt_channel: close() from another thread ends the wait of a loop that blocks") {
  mt_channel<int> c(1);
  std::jthread other([&] {
    std::this_thread::sleep_for(20ms);
    c.close();
  });
  in_time([&]() -> task<> {
    const auto end = co_await c.receive();
    CHECK_FALSE(end.has_value());
  });
}

TEST_CASE("mt_channel: a second loop that receives gets an error, and the first goes on") {
  mt_channel<int> c(1);
  std::atomic<bool> refused{false};
  in_time([&]() -> task<> {
    CHECK(c.try_send(1));
    const auto first = co_await c.receive();
    CHECK(first == 1);
    std::thread([&] {
      run([&]() -> task<> {
        try {
          co_await c.receive();
        } catch (const std::logic_error&) {
          refused = true;
        }
      });
    }).join();
    CHECK(refused);
    CHECK(c.try_send(2));
    const auto second = co_await c.receive();
    CHECK(second == 2);
  });
}

TEST_CASE("mt_channel: channels come and go while their loop lives, destroyed here or elsewhere") {
  in_time([]() -> task<> {
    for (int round = 0; round < 200; ++round) {
      auto c = std::make_unique<mt_channel<std::unique_ptr<int>>>(4);
      c->try_send(std::make_unique<int>(1));
      c->try_send(std::make_unique<int>(2));
      const auto got = co_await c->receive();
      CHECK(**got == 1);
      if (round % 2 == 0) {
        co_await offload([&] { c.reset(); });
      } else {
        c.reset();
      }
    }
  });
}

// --- Threads that receive

namespace {

/// Threads that receive until the end, and count.
class receiving_threads {
 public:
  receiving_threads(mt_channel<parcel>& from, int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, &from] {
        while (const auto p = from.blocking_receive()) {
          ++count_;
          sum_ += p->number;
        }
      });
    }
  }
  void join() { threads_.clear(); }
  int count() const { return count_; }
  long sum() const { return sum_; }

 private:
  std::atomic<int> count_ = 0;
  std::atomic<long> sum_ = 0;
  std::vector<std::jthread> threads_;
};

task<> send_parcels(mt_channel<parcel>& to, int who, int each) {
  for (int i = 0; i < each; ++i) co_await to.send(parcel{who, i});
}

}  // namespace

TEST_CASE("mt_channel: threads get what tasks send, each value once, and the loop goes on while they are slow") {
  constexpr int tasks = 3, each = 2000;
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{64}, mt_channel<int>::unbounded}) {
    for (const int threads : {1, 4}) {
      mt_channel<parcel> c(capacity);
      receiving_threads receiving(c, threads);
      in_time([&]() -> task<> {
        co_await with_nursery([&](nursery& n) -> task<> {
          for (int who = 0; who < tasks; ++who) n.spawn(send_parcels, std::ref(c), who, each);
          co_return;
        });
      });
      c.close();
      receiving.join();
      CHECK(receiving.count() == tasks * each);
      CHECK(receiving.sum() == tasks * (each - 1L) * each / 2);
    }
  }
}

TEST_CASE("mt_channel: one thread gets each sender's values in order, from threads and from tasks") {
  constexpr int each = 2000;
  mt_channel<parcel> c(2);
  bool complete = false;
  std::jthread receiver([&] {
    parcel_check check(3);
    while (const auto p = c.blocking_receive()) check.arrived(*p);
    complete = check.complete(each);
  });
  std::vector<std::jthread> senders;
  for (int who = 0; who < 2; ++who) {
    senders.emplace_back([&c, who] {
      for (int i = 0; i < each; ++i) c.blocking_send({who, i});
    });
  }
  in_time([&]() -> task<> { co_await send_parcels(c, 2, each); });
  senders.clear();
  c.close();
  receiver.join();
  CHECK(complete);
}

TEST_CASE("mt_channel: questions go to a thread, and its answers come back to the task") {
  mt_channel<int> questions(4), answers(4);
  std::jthread thread([&] {
    while (const auto n = questions.blocking_receive()) answers.blocking_send(*n * *n);
    answers.close();
  });
  long sum = 0;
  in_time([&]() -> task<> {
    for (int i = 0; i < 1000; ++i) {
      co_await questions.send(i);
      const auto answer = co_await answers.receive();
      sum += *answer;
    }
    questions.close();
    const auto end = co_await answers.receive();
    CHECK(end == std::nullopt);
  });
  CHECK(sum == 332'833'500);
}

TEST_CASE("mt_channel: a thread that waits hears of the end, and gets first what is left") {
  mt_channel<int> c(4);
  std::atomic<int> ended = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (c.blocking_receive()) continue;
      ++ended;
    });
  }
  std::this_thread::sleep_for(5ms);
  c.close();
  threads.clear();
  CHECK(ended == 3);
  mt_channel<int> left(4);
  CHECK(left.blocking_send(7));
  left.close();
  CHECK(left.try_receive() == 7);
  CHECK(left.blocking_receive() == std::nullopt);
  CHECK(left.try_receive() == std::nullopt);
}

TEST_CASE("mt_channel: either threads receive or the tasks of a loop, and what a loop has left is for threads, too") {
  mt_channel<int> c(4);
  const auto fails = [](auto what) {
    try {
      what();
    } catch (const std::logic_error&) {
      return true;
    }
    return false;
  };
  bool refused_on_loop = false, refused_beside_loop = false;
  in_time([&]() -> task<> {
    refused_on_loop = fails([&] { c.blocking_receive(); });
    co_await c.send(1);
    co_await c.send(2);
    const auto one = co_await c.receive();
    CHECK(one == 1);
    std::thread([&] {
      refused_beside_loop = fails([&] { c.blocking_receive(); }) && fails([&] { c.try_receive(); });
    }).join();
  });
  CHECK(refused_on_loop);
  CHECK(refused_beside_loop);
  CHECK(c.blocking_receive() == 2);
  CHECK(c.blocking_receive() == std::nullopt);

  // Whichever of the two is first, the other one is refused.
  mt_channel<int> contested(4);
  std::atomic<bool> thread_refused = false;
  std::jthread waiting([&] { thread_refused = fails([&] { contested.blocking_receive(); }); });
  bool task_refused = false;
  in_time([&]() -> task<> {
    co_await sleep_for(5ms);
    task_refused = fails([&] { contested.try_receive(); });
    while (!task_refused && !thread_refused) co_await sleep_for(1ms);
  });
  contested.close();
  waiting.join();
  CHECK(task_refused != thread_refused);
}
