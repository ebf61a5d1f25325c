// Bench: what micro.cpp measures, written by hand with nothing but the operation itself. micro_limits [RUNS [PART OF A
// ROW'S NAME]]
#include "bare.hpp"
#include "bare_pool.hpp"
#include "stopwatch.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <stdexcept>
#include <string_view>
#include <vector>

#if BENCH_FIBERS
#include <boost/context/fiber.hpp>
#endif
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace bench::bare;
using bench::keep;
using bench::stopwatch;

namespace {

constexpr long many = 200'000;
constexpr long children = 1'000;

[[gnu::noinline]] task ready_value(long x) {
  co_return x;
}

[[gnu::noinline]] child do_nothing() {
  co_return;
}

long nothing(long x) {
  return x;
}

child await_ready_task(stopwatch& watch) {
  while (watch.next()) {
    long sum = 0;
    watch.start();
    for (long i = 0; i < many; ++i) sum += co_await ready_value(i);
    watch.stop(many);
    keep(sum);
  }
}

child spawn(stopwatch& watch, long at_once) {
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many / at_once; ++i) {
      join_counter all;
      for (long j = 0; j < at_once; ++j) do_nothing().start(&all);
      co_await all;
    }
    watch.stop(many);
  }
}

child yield_often() {
  for (long i = 0; i < many / 2; ++i) co_await yield();
}

child yield_two(stopwatch& watch) {
  while (watch.next()) {
    watch.start();
    join_counter both;
    yield_often().start(&both);
    yield_often().start(&both);
    co_await both;
    watch.stop(many);
  }
}

child lock_free_mutex(stopwatch& watch) {
  mutex m;
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many; ++i) {
      co_await m.lock();
      keep(m);
      m.unlock();
    }
    watch.stop(many);
  }
}

child lock_in_turns(mutex& m) {
  co_await m.lock();
  co_await yield();  // Why: the other one waits from now on, and so each of the two does, in turns.
  m.unlock();
  for (long i = 0; i < many / 2; ++i) {
    co_await m.lock();
    keep(m);
    m.unlock();
  }
}

child hand_mutex_over(stopwatch& watch) {
  mutex m;
  while (watch.next()) {
    watch.start();
    join_counter both;
    lock_in_turns(m).start(&both);
    lock_in_turns(m).start(&both);
    co_await both;
    watch.stop(many);
  }
}

child send_items(channel& to) {
  for (long i = 0; i < many; ++i) co_await to.send(i);
}

child receive_items(channel& from) {
  long sum = 0;
  for (long i = 0; i < many; ++i) sum += co_await from.receive();
  keep(sum);
}

child hop_through_channel(stopwatch& watch, std::size_t capacity) {
  channel items(capacity);
  while (watch.next()) {
    watch.start();
    join_counter both;
    send_items(items).start(&both);
    receive_items(items).start(&both);
    co_await both;
    watch.stop(many);
  }
}

void run(child started) {
  started.start();
  drain();
}

struct timer {
  std::int64_t deadline = 0;
  std::size_t place = 0;
};

/// Four children a node: the common choice where most timers are cancelled.
class timer_heap {
 public:
  timer_heap() { places_.reserve(2 * children); }

  void add(timer& t, std::int64_t deadline) {
    t.deadline = deadline;
    places_.push_back(&t);
    rise(t, places_.size() - 1);
  }
  void remove(timer& t) {
    timer* last = places_.back();
    places_.pop_back();
    if (last == &t) return;
    const std::size_t place = t.place;
    rise(*last, place);
    if (last->place == place) sink(*last, place);
  }

 private:
  void put(timer& t, std::size_t place) {
    places_[place] = &t;
    t.place = place;
  }
  void rise(timer& t, std::size_t place) {
    while (place > 0) {
      const std::size_t above = (place - 1) / 4;
      if (places_[above]->deadline <= t.deadline) break;
      put(*places_[above], place);
      place = above;
    }
    put(t, place);
  }
  void sink(timer& t, std::size_t place) {
    for (;;) {
      const std::size_t first = 4 * place + 1;
      if (first >= places_.size()) break;
      const auto begin = places_.begin() + static_cast<std::ptrdiff_t>(first);
      const auto end = places_.begin() + static_cast<std::ptrdiff_t>(std::min(first + 4, places_.size()));
      const auto least = std::min_element(begin, end, [](auto* a, auto* b) { return a->deadline < b->deadline; });
      if ((*least)->deadline >= t.deadline) break;
      const auto next = static_cast<std::size_t>(least - places_.begin());
      put(**least, place);
      place = next;
    }
    put(t, place);
  }

  std::vector<timer*> places_;
};

void add_and_cancel_timers(int runs) {
  stopwatch watch("timer, add + cancel, 1,000 others", runs);
  timer_heap heap;
  std::deque<timer> others(children);
  long step = 0;
  for (timer& t : others) heap.add(t, ++step * 7919 % 1009);
  timer one;
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many; ++i) {
      heap.add(one, i * 7919 % 1009);
      heap.remove(one);
    }
    watch.stop(many);
  }
}

void offload(worker_pool& pool, long count) {
  std::vector<job> jobs(static_cast<std::size_t>(count), job{nothing, 1});
  for (job& j : jobs) pool.submit(j);
  for (long done = 0; done < count;) done += pool.wait();
}

void offload_at_once(int runs, worker_pool& pool) {
  stopwatch watch("offload, 1,000 at once, each", runs);
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < 10; ++i) offload(pool, children);
    watch.stop(10 * children);
  }
}

void offload_in_turn(int runs, worker_pool& pool) {
  stopwatch watch("offload, one after another", runs);
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < 200; ++i) offload(pool, 1);
    watch.stop(200);
  }
}

void run_children(std::string_view row, std::size_t resident, int runs) {
  stopwatch watch(row, runs);
  std::vector<char> memory;
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  while (watch.next()) {
    memory.resize(resident, 1);
    watch.start();
    for (long i = 0; i < 50; ++i) {
      pid_t child = 0;
      if (posix_spawn(&child, name, nullptr, nullptr, arguments, environ) != 0) throw std::runtime_error("posix_spawn");
      siginfo_t end{};
      waitid(P_PID, static_cast<id_t>(child), &end, WEXITED);
    }
    watch.stop(50);
  }
}

#if BENCH_FIBERS
namespace context = boost::context;

/// One stack, used again and again.
struct same_stack {
  void deallocate(context::stack_context&) noexcept {}
};

void jump_and_back(int runs) {
  stopwatch watch("fiber, yield and back", runs);
  bool go_on = true;
  context::fiber other([&go_on](context::fiber&& back) {
    while (go_on) back = std::move(back).resume();
    return std::move(back);
  });
  other = std::move(other).resume();
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many; ++i) other = std::move(other).resume();
    watch.stop(many);
  }
  go_on = false;
  other = std::move(other).resume();
}

void run_fibers(int runs) {
  stopwatch watch("fiber, make and run", runs);
  context::fixedsize_stack source(64 * 1024);
  context::stack_context stack = source.allocate();
  while (watch.next()) {
    watch.start();
    for (long i = 0; i < many; ++i) {
      const context::preallocated place(stack.sp, stack.size, stack);
      context::fiber(std::allocator_arg, place, same_stack(), [](context::fiber&& back) {
        return std::move(back);
      }).resume();
    }
    watch.stop(many);
  }
  source.deallocate(stack);
}
#endif

void measure(int runs) {
  const auto with_watch = [runs](const char* row, auto begin) {
    stopwatch watch(row, runs);
    run(begin(watch));
  };
  with_watch("await of a ready task", await_ready_task);
  with_watch("spawn + join of one", [](stopwatch& w) { return spawn(w, 1); });
  with_watch("spawn + join of 1,000, each", [](stopwatch& w) { return spawn(w, children); });
  with_watch("yield, 2 tasks", yield_two);
  with_watch("mutex, uncontended", lock_free_mutex);
  with_watch("mutex, hand-over", hand_mutex_over);
  with_watch("channel hop, capacity 1", [](stopwatch& w) { return hop_through_channel(w, 1); });
  with_watch("channel hop, capacity 1,024", [](stopwatch& w) { return hop_through_channel(w, 1'024); });
  add_and_cancel_timers(runs);
  worker_pool pool(std::max(1U, std::thread::hardware_concurrency()));
  offload_at_once(runs, pool);
  offload_in_turn(runs, pool);
  run_children("child process, start and wait", 0, runs);
  run_children("child process of one with 2 GiB in memory", std::size_t{2} << 30, runs);
#if BENCH_FIBERS
  jump_and_back(runs);
  run_fibers(runs);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 2) stopwatch::chosen = argv[2];
    measure(argc > 1 ? std::atoi(argv[1]) : 5);
  } catch (const std::exception& e) {
    fmt::print(stderr, "micro_limits: {}\n", e.what());
    return 1;
  }
}
