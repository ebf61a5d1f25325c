// Bench: small operations of ringlet, each as a user writes it; limits.cpp has the same by hand. micro [RUNS [PART OF A
// ROW'S NAME]]
#include "stopwatch.hpp"

#include <ringlet/ringlet.hpp>

#include <array>
#include <cstdlib>
#include <deque>
#include <string_view>
#include <vector>

using namespace ringlet;
using bench::keep;
using bench::stopwatch;

namespace {

constexpr long many = 200'000;
constexpr long children = 1'000;

[[gnu::noinline]] task<long> ready_value(long x) {
  co_return x;
}

[[gnu::noinline]] task<> do_nothing() {
  co_return;
}

long nothing(long x) {
  return x;
}

task<> await_ready_task(int runs) {
  stopwatch watch("await of a ready task", runs);
  while (watch.next()) {
    long sum = 0;
    watch.start();
    for (long i = 0; i < many; ++i) sum += co_await ready_value(i);
    watch.stop(many);
    keep(sum);
  }
}

task<> spawn_one(int runs) {
  stopwatch watch("spawn + join of one", runs);
  auto body = [&](nursery& n) -> task<> {
    while (watch.next()) {
      watch.start();
      for (long i = 0; i < many; ++i) co_await n.spawn(do_nothing);
      watch.stop(many);
    }
  };
  co_await with_nursery(body);
}

task<> spawn_many(int runs) {
  stopwatch watch("spawn + join of 1,000, each", runs);
  auto body = [](nursery& n) -> task<> {
    for (long i = 0; i < children; ++i) n.spawn(do_nothing);
    co_return;
  };
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many / children; ++i) co_await with_nursery(body);
    watch.stop(many);
  }
}

task<> yield_often() {
  for (long i = 0; i < many / 2; ++i) co_await yield_now();
}

task<> yield_two(int runs) {
  stopwatch watch("yield, 2 tasks", runs);
  while (watch.next()) {
    watch.start();
    co_await when_all(yield_often(), yield_often());
    watch.stop(many);
  }
}

task<> lock_free_mutex(int runs) {
  stopwatch watch("mutex, uncontended", runs);
  mutex m;
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many; ++i) {
      auto guard = co_await m.lock();
      keep(guard);
    }
    watch.stop(many);
  }
}

task<> lock_in_turns(mutex& m) {
  {
    auto guard = co_await m.lock();
    co_await yield_now();  // Why: the other one waits from now on, and so each of the two does, in turns.
  }
  for (long i = 0; i < many / 2; ++i) {
    auto guard = co_await m.lock();
    keep(guard);
  }
}

task<> hand_mutex_over(int runs) {
  stopwatch watch("mutex, hand-over", runs);
  mutex m;
  while (watch.next()) {
    watch.start();
    co_await when_all(lock_in_turns(m), lock_in_turns(m));
    watch.stop(many);
  }
}

task<> send_items(channel<long>& to) {
  for (long i = 0; i < many; ++i) co_await to.send(i);
}

task<> receive_items(channel<long>& from) {
  long sum = 0;
  for (long i = 0; i < many; ++i) sum += *co_await from.receive();
  keep(sum);
}

task<> hop_through_channel(std::string_view row, std::size_t capacity, int runs) {
  stopwatch watch(row, runs);
  channel<long> items(capacity);
  while (watch.next()) {
    watch.start();
    co_await when_all(send_items(items), receive_items(items));
    watch.stop(many);
  }
}

class silent_timer final : public detail::timer {
 public:
  void fire() noexcept override {}
};

task<> add_and_cancel_timers(int runs) {
  stopwatch watch("timer, add + cancel, 1,000 others", runs);
  scheduler& loop = this_scheduler();
  std::deque<silent_timer> others(children);
  long step = 0;
  for (silent_timer& t : others) loop.add_timer(t, loop.now() + std::chrono::hours(1) + duration(++step * 7919 % 1009));
  silent_timer one;
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many; ++i) {
      loop.add_timer(one, loop.now() + std::chrono::hours(1) + duration(i * 7919 % 1009));
      loop.remove_timer(one);
    }
    watch.stop(many);
  }
  for (silent_timer& t : others) loop.remove_timer(t);
  co_return;
}

task<> time_out_ready_task(int runs) {
  stopwatch watch("with_timeout over a ready task", runs);
  while (watch.next()) {
    long sum = 0;
    watch.start();
    for (long i = 0; i < many; ++i) sum += co_await with_timeout(std::chrono::hours(1), ready_value(i));
    watch.stop(many);
    keep(sum);
  }
}

task<> offload_one() {
  co_await offload(nothing, 1);
}

task<> offload_at_once(int runs) {
  stopwatch watch("offload, 1,000 at once, each", runs);
  auto body = [](nursery& n) -> task<> {
    for (long i = 0; i < children; ++i) n.spawn(offload_one);
    co_return;
  };
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < 10; ++i) co_await with_nursery(body);
    watch.stop(10 * children);
  }
}

task<> offload_in_turn(int runs) {
  stopwatch watch("offload, one after another", runs);
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < 200; ++i) co_await offload(nothing, i);
    watch.stop(200);
  }
}

task<> run_children(std::string_view row, std::size_t resident, int runs) {
  stopwatch watch(row, runs);
  std::vector<char> memory;
  while (watch.next()) {
    memory.resize(resident, 1);
    watch.start();
    for (long i = 0; i < 50; ++i) co_await process::run(process::cmd("/bin/true"));
    watch.stop(50);
  }
}

#if BENCH_FIBERS
void yield_in_fiber() {
  for (long i = 0; i < many / 2; ++i) fiber::await(yield_now());
}

void do_nothing_in_fiber() {}

task<> yield_two_fibers(int runs) {
  stopwatch watch("fiber, yield and back", runs);
  while (watch.next()) {
    watch.start();
    co_await when_all(in_fiber(yield_in_fiber), in_fiber(yield_in_fiber));
    watch.stop(many);
  }
}

task<> run_fibers(int runs) {
  stopwatch watch("fiber, make and run", runs);
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many; ++i) co_await in_fiber(do_nothing_in_fiber);
    watch.stop(many);
  }
}
#endif

task<> measure(int runs) {
  co_await await_ready_task(runs);
  co_await spawn_one(runs);
  co_await spawn_many(runs);
  co_await yield_two(runs);
  co_await lock_free_mutex(runs);
  co_await hand_mutex_over(runs);
  co_await hop_through_channel("channel hop, capacity 1", 1, runs);
  co_await hop_through_channel("channel hop, capacity 1,024", 1'024, runs);
  co_await add_and_cancel_timers(runs);
  co_await time_out_ready_task(runs);
  co_await offload_at_once(runs);
  co_await offload_in_turn(runs);
  co_await run_children("child process, start and wait", 0, runs);
  co_await run_children("child process of one with 2 GiB in memory", std::size_t{2} << 30, runs);
#if BENCH_FIBERS
  co_await yield_two_fibers(runs);
  co_await run_fibers(runs);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 2) stopwatch::chosen = argv[2];
    run(measure, argc > 1 ? std::atoi(argv[1]) : 5);
  } catch (const std::exception& e) {
    fmt::print(stderr, "micro: {}\n", e.what());
    return 1;
  }
}
