// Tests of the parts in ringlet/detail that other parts stand on.
#include "kit/counted.hpp"
#include "kit/random.hpp"

#include <ringlet/detail/hook.hpp>
#include <ringlet/detail/intrusive.hpp>
#include <ringlet/detail/mailbox.hpp>
#include <ringlet/detail/outcome.hpp>
#include <ringlet/detail/ref.hpp>
#include <ringlet/detail/ring_queue.hpp>
#include <ringlet/detail/timer_heap.hpp>
#include <ringlet/detail/work_stack.hpp>
#include <ringlet/time.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace ringlet;
using namespace ringlet::detail;
using namespace std::chrono_literals;

// --- Time

TEST_CASE("time: later() does not overflow") {
  const time_point now = time_point(1h);
  CHECK(later(now, 1s) == now + 1s);
  CHECK(later(now, -1s) == now - 1s);
  CHECK(later(now, duration::max()) == never);
  CHECK(later(never - 1s, 1s) == never);
  CHECK(later(never - 1s, 2s) == never);
  CHECK(later(now, duration::min()) < now);
}

TEST_CASE("time: a virtual clock moves forward only") {
  virtual_clock clock;
  const time_point start = clock.now();
  clock.advance_to(start + 1s);
  CHECK(clock.now() == start + 1s);
  clock.advance_to(start);
  CHECK(clock.now() == start + 1s);
}

// --- Intrusive queue and list

namespace {

struct queued {
  explicit queued(int n) : number(n) {}
  int number;
  queued* next = nullptr;
};

struct some_links : list_links {};
struct other_links : list_links {};

struct listed : some_links, other_links {
  explicit listed(int n) : number(n) {}
  int number;
};

}  // namespace

TEST_CASE("intrusive_queue: first in, first out, also through a move") {
  intrusive_queue<queued, &queued::next> queue;
  CHECK(queue.empty());
  CHECK(queue.pop_front() == nullptr);
  std::deque<queued> elements;
  for (int i = 0; i < 5; ++i) queue.push_back(elements.emplace_back(i));
  CHECK(queue.size() == 5);
  CHECK(queue.pop_front()->number == 0);
  intrusive_queue<queued, &queued::next> taken_over(std::move(queue));
  CHECK(queue.empty());
  queue.push_back(elements[0]);
  CHECK(queue.pop_front()->number == 0);
  CHECK(queue.pop_front() == nullptr);
  for (int i = 1; i < 5; ++i) CHECK(taken_over.pop_front()->number == i);
  CHECK(taken_over.empty());
  taken_over.push_back(elements[3]);
  queue = std::move(taken_over);
  CHECK(taken_over.empty());
  CHECK(queue.size() == 1);
  CHECK(queue.pop_front()->number == 3);
}

TEST_CASE("intrusive_queue: pushes and pops at random give what a deque gives") {
  kit::for_each_seed(20, [](std::uint64_t seed) {
    kit::random draw(seed);
    intrusive_queue<queued, &queued::next> queue;
    std::deque<int> model;
    std::list<queued> elements;
    for (int step = 0; step < 2000; ++step) {
      if (draw.one_in(3)) {
        queue.push_back(elements.emplace_back(step));
        model.push_back(step);
      } else if (draw.one_in(4)) {
        queue.push_front(elements.emplace_back(step));
        model.push_front(step);
      } else {
        const queued* first = queue.pop_front();
        REQUIRE((first == nullptr) == model.empty());
        if (first != nullptr) REQUIRE(first->number == model.front());
        if (first != nullptr) model.pop_front();
      }
      REQUIRE(queue.empty() == model.empty());
    }
    REQUIRE(queue.size() == model.size());
  });
}

TEST_CASE("ring_queue: pushes and pops at random give what a deque gives, and grow it when they must") {
  kit::for_each_seed(20, [](std::uint64_t seed) {
    kit::random draw(seed);
    kit::tally count;
    {
      ring_queue<std::pair<int, kit::balanced>> queue(1 + draw.below(5));
      std::deque<int> model;
      for (int step = 0; step < 2000; ++step) {
        if (draw.one_in(2)) {
          queue.push_back({step, kit::balanced(count)});
          model.push_back(step);
        } else if (!model.empty()) {
          REQUIRE(queue.front().first == model.front());
          queue.pop_front();
          model.pop_front();
        }
        REQUIRE(queue.size() == model.size());
        REQUIRE(count.alive == static_cast<int>(model.size()));
      }
    }
    REQUIRE(count.alive == 0);
  });
}

TEST_CASE("ring_queue: elements lie where their type wants them") {
  struct alignas(128) wide {
    int number;
  };
  ring_queue<wide> queue(3);
  for (int i = 0; i < 10; ++i) {
    queue.push_back(wide{i});
    CHECK(reinterpret_cast<std::uintptr_t>(&queue.front()) % alignof(wide) == 0);
  }
  CHECK_THROWS_AS(ring_queue<wide>(std::numeric_limits<std::size_t>::max() / 2), std::bad_alloc);
}

TEST_CASE("intrusive_list: elements leave from anywhere, and may be in two lists by different links") {
  std::deque<listed> elements;
  intrusive_list<listed, some_links> list;
  intrusive_list<listed, other_links> reversed;
  for (int i = 0; i < 5; ++i) elements.emplace_back(i);
  for (auto& e : elements) list.push_back(e);
  for (auto e = elements.rbegin(); e != elements.rend(); ++e) reversed.push_back(*e);
  CHECK(static_cast<other_links&>(elements[2]).linked());
  static_cast<other_links&>(elements[2]).unlink();
  std::vector<int> seen;
  for (const listed* e = list.front(); e != nullptr; e = list.after(*e)) seen.push_back(e->number);
  CHECK(seen == std::vector<int>{0, 1, 2, 3, 4});
  seen.clear();
  while (const listed* e = reversed.pop_front()) seen.push_back(e->number);
  CHECK(seen == std::vector<int>{4, 3, 1, 0});
  while (list.pop_front() != nullptr) {
  }
  CHECK(list.empty());
  CHECK(list.front() == nullptr);
}

namespace {

struct element : list_links {
  explicit element(int n) : number(n) {}
  int number;
};

}  // namespace

TEST_CASE("intrusive_list: insertions and removals at random give what std::list gives") {
  kit::for_each_seed(20, [](std::uint64_t seed) {
    kit::random draw(seed);
    intrusive_list<element> list;
    std::list<int> model;
    std::vector<std::unique_ptr<element>> elements;
    for (int number = 0; number < 100; ++number) elements.push_back(std::make_unique<element>(number));
    for (int step = 0; step < 3000; ++step) {
      element& one = *elements[draw.below(elements.size())];
      if (draw.one_in(10)) {
        const element* first = list.pop_front();
        REQUIRE((first == nullptr) == model.empty());
        if (first != nullptr) REQUIRE(first->number == model.front());
        if (first != nullptr) model.pop_front();
      } else if (one.linked()) {
        one.unlink();
        model.remove(one.number);
      } else {
        list.push_back(one);
        model.push_back(one.number);
      }
      std::list<int> seen;
      for (const element* at = list.front(); at != nullptr; at = list.after(*at)) seen.push_back(at->number);
      if (seen != model) FAIL("differs from the model in step " << step);
    }
    while (list.pop_front() != nullptr) {
    }
  });
}

// --- Timer heap

namespace {

struct numbered_timer final : timer {
  explicit numbered_timer(int n) : number(n) {}
  void fire() noexcept override {}
  int number;
};

}  // namespace

TEST_CASE("timer_heap: equal deadlines come out in the order in which they went in") {
  std::deque<numbered_timer> timers;
  timer_heap heap;
  for (int i = 0; i < 100; ++i) heap.add(timers.emplace_back(i), time_point(i % 2 == 0 ? 5s : 3s));
  for (int i = 1; i < 100; i += 2) CHECK(static_cast<numbered_timer&>(heap.pop()).number == i);
  for (int i = 0; i < 100; i += 2) CHECK(static_cast<numbered_timer&>(heap.pop()).number == i);
  CHECK(heap.empty());
}

TEST_CASE("timer_heap: removing one that has fired, or was never added, does nothing") {
  timer_heap heap;
  numbered_timer a(1), b(2);
  heap.remove(a);
  heap.add(a, time_point(1s));
  heap.add(b, time_point(2s));
  CHECK(&heap.pop() == &a);
  heap.remove(a);
  CHECK(heap.earliest() == time_point(2s));
  heap.remove(b);
  heap.remove(b);
  CHECK(heap.empty());
}

TEST_CASE("timer_heap: adds, removals and pops at random give what a sorted map gives") {
  kit::for_each_seed(100, [](std::uint64_t seed) {
    kit::random draw(seed);
    timer_heap heap;
    std::map<std::pair<time_point, int>, numbered_timer*> model;  // by deadline, and then by order of adding
    std::map<numbered_timer*, std::pair<time_point, int>> added;
    std::vector<std::unique_ptr<numbered_timer>> timers;
    for (int number = 0; number < 60; ++number) timers.push_back(std::make_unique<numbered_timer>(number));
    const auto forget = [&](numbered_timer* t) {
      model.erase(added.at(t));
      added.erase(t);
    };
    for (int step = 0; step < 2000; ++step) {
      numbered_timer* one = timers[draw.below(timers.size())].get();
      if (draw.one_in(4) && !model.empty()) {
        numbered_timer* first = model.begin()->second;
        REQUIRE(heap.earliest() == model.begin()->first.first);
        REQUIRE(&heap.pop() == first);
        forget(first);
      } else if (added.contains(one)) {
        heap.remove(*one);
        forget(one);
      } else {
        const time_point deadline = time_point(draw.below(20) * 1s);
        heap.add(*one, deadline);
        added[one] = {deadline, step};
        model[{deadline, step}] = one;
      }
      REQUIRE(heap.empty() == model.empty());
      if (!model.empty()) REQUIRE(heap.earliest() == model.begin()->first.first);
    }
    while (!model.empty()) {
      numbered_timer* first = model.begin()->second;
      REQUIRE(&heap.pop() == first);
      forget(first);
    }
    REQUIRE(heap.empty());
  });
}

TEST_CASE("timer_heap: a hundred thousand timers, in order or not, need no deep stack") {
  for (const bool ascending : {true, false}) {
    timer_heap heap;
    std::deque<numbered_timer> timers;
    constexpr int count = 100'000;
    for (int i = 0; i < count; ++i) {
      heap.add(timers.emplace_back(i), time_point((ascending ? i : count - i) * 1ms));
    }
    time_point last = long_ago;
    while (!heap.empty()) {
      const time_point earliest = heap.pop().deadline();
      if (earliest < last) FAIL("out of order");
      last = earliest;
    }
  }
}

// --- Outcome

TEST_CASE("outcome: holds a value, an error or `cancelled`, and moves each once") {
  kit::tally t;
  {
    outcome<kit::balanced> first;
    CHECK_FALSE(first.has_value());
    first.set_value(t);
    outcome<kit::balanced> second(std::move(first));
    CHECK_FALSE(first.has_value());
    CHECK(second.has_value());
    CHECK(t.alive == 1);
    first = std::move(second);
    CHECK(first.has_value());
    first.set_error(std::make_exception_ptr(17));
    CHECK(t.alive == 0);
    CHECK(first.has_error());
    CHECK_THROWS_AS(first.take(), int);
    first.set_cancelled();
    CHECK(first.was_cancelled());
    CHECK_THROWS_AS(first.take(), cancelled);
    first.set_value(t);
    const kit::balanced taken = first.take();
    CHECK_FALSE(taken.text().empty());
  }
  CHECK(t.alive == 0);
}

TEST_CASE("outcome: of a reference gives the same object; of nothing gives nothing") {
  int number = 3;
  outcome<int&> reference;
  reference.set_value(&number);
  CHECK(&reference.take() == &number);
  outcome<void> done;
  done.set_value();
  done.take();
  CHECK(done.has_value());
}

TEST_CASE("outcome: tells `cancelled` from every other exception") {
  const auto of = [](auto thrown) {
    outcome<int> result;
    try {
      throw thrown;
    } catch (...) {
      set_current_exception(result);
    }
    return result;
  };
  CHECK(of(cancelled()).was_cancelled());
  CHECK(of(std::runtime_error("x")).has_error());
  CHECK(of(5).has_error());
}

// --- References and hooks

namespace {

struct shared : counted<shared> {
  explicit shared(kit::tally& t) : held(t) {}
  void last_reference_gone() noexcept { delete this; }
  kit::balanced held;
};

}  // namespace

TEST_CASE("ref: the last reference to go destroys the object") {
  kit::tally t;
  ref<shared> first(new shared(t));
  {
    ref<shared> second = first;
    const ref<shared> third = std::move(first);
    CHECK_FALSE(first);
    CHECK(second.get() == third.get());
    first = third;
    second = ref<shared>();
  }
  CHECK(t.alive == 1);
  ref<shared>& itself = first;
  first = itself;
  CHECK(t.alive == 1);
  first = ref<shared>();
  CHECK(t.alive == 0);
}

TEST_CASE("hook: calls what it was made of, and copies it") {
  kit::tally t;
  int sum = 0;
  {
    const hook<void(int)> none;
    CHECK_FALSE(none);
    const kit::balanced captured(t);
    hook<void(int)> first([captured, &sum](int n) { sum += n; });
    const hook<void(int)> second = first;
    first(1);
    second(10);
    first = none;
    CHECK_FALSE(first);
    second(100);
  }
  CHECK(sum == 111);
  CHECK(t.alive == 0);
}

// --- Mailbox

namespace {

struct noted final : remote_work {
  noted(std::vector<int>& log, int n) : log_(log), number(n) {}
  void run() noexcept override { log_.push_back(number); }
  std::vector<int>& log_;
  int number;
};

struct counting_reactor final : reactor {
  void wait(time_point) noexcept override {}
  void wake() noexcept override { ++wakes; }
  std::size_t in_flight() const noexcept override { return 0; }
  const reactor_counters& counters() const noexcept override { return none; }
  std::atomic<int> wakes = 0;
  reactor_counters none;
};

struct box_owner {
  counting_reactor world;
  mailbox* box = new mailbox(world);
  ~box_owner() { box->drop_reference(); }

  void run_all() {
    for (remote_work* work = box->take_all(); work != nullptr;) {
      remote_work* next = work->next();
      work->run();
      work = next;
    }
  }
};

}  // namespace

TEST_CASE("work_stack: what is taken comes in the order of pushing, each time anew") {
  work_stack stack;
  std::vector<int> log;
  noted first(log, 1), second(log, 2), third(log, 3);
  CHECK(stack.empty());
  CHECK(stack.take_all() == nullptr);
  CHECK(stack.push(first));
  CHECK(stack.push(second));
  CHECK_FALSE(stack.empty());
  CHECK(stack.take_all() == &first);
  CHECK(first.next() == &second);
  CHECK(second.next() == nullptr);
  CHECK(stack.empty());
  CHECK(stack.push(third));
  CHECK(stack.take_all() == &third);
  CHECK(third.next() == nullptr);
}

TEST_CASE("work_stack: closed, it refuses everything and has nothing to take") {
  work_stack stack;
  std::vector<int> log;
  noted first(log, 1), late(log, 2);
  CHECK(stack.push(first));
  CHECK(stack.close() == &first);
  CHECK_FALSE(stack.push(late));
  CHECK(stack.take_all() == nullptr);
  CHECK_FALSE(stack.empty());
}

TEST_CASE("mailbox: gives the work in the order of pushing") {
  box_owner owner;
  std::vector<int> log;
  std::deque<noted> work;
  CHECK(owner.box->empty());
  CHECK(owner.box->take_all() == nullptr);
  for (int i = 0; i < 5; ++i) CHECK(owner.box->push(work.emplace_back(log, i)));
  CHECK_FALSE(owner.box->empty());
  owner.run_all();
  CHECK(log == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(owner.box->empty());
}

TEST_CASE("mailbox: wakes the loop only when it sleeps, and once") {
  box_owner owner;
  std::vector<int> log;
  std::deque<noted> work;
  owner.box->push(work.emplace_back(log, 1));
  CHECK(owner.world.wakes == 0);
  CHECK_FALSE(owner.box->fall_asleep());  // there is work
  owner.run_all();
  CHECK(owner.box->fall_asleep());
  owner.box->push(work.emplace_back(log, 2));
  owner.box->push(work.emplace_back(log, 3));
  CHECK(owner.world.wakes == 1);
  owner.box->wake_up();
  owner.run_all();
  owner.box->push(work.emplace_back(log, 4));
  CHECK(owner.world.wakes == 1);
}

TEST_CASE("mailbox: closing gives what was pushed, oldest first, and then refuses everything") {
  box_owner owner;
  std::vector<int> log;
  noted first(log, 1), second(log, 2), late(log, 3);
  owner.box->push(first);
  owner.box->push(second);
  remote_work* left = owner.box->close();
  CHECK(left == &first);
  CHECK(left->next() == &second);
  CHECK(second.next() == nullptr);
  CHECK_FALSE(owner.box->push(late));
  owner.box->add_handle();
  owner.box->drop_handle();  // nobody is there any more to be woken
  CHECK(owner.world.wakes == 0);
}

TEST_CASE("mailbox: a loop that sleeps and threads that push never miss each other") {
  constexpr int threads = 3, pushes = 3000;
  struct sleeper final : reactor {
    void wait(time_point) noexcept override {
      std::unique_lock lock(mutex);
      woken.wait(lock, [this] { return wake_up; });
      wake_up = false;
    }
    void wake() noexcept override {
      const std::lock_guard lock(mutex);
      wake_up = true;
      woken.notify_one();
    }
    std::size_t in_flight() const noexcept override { return 0; }
    const reactor_counters& counters() const noexcept override { return none; }
    std::mutex mutex;
    std::condition_variable woken;
    bool wake_up = false;
    reactor_counters none;
  };
  sleeper world;
  auto* box = new mailbox(world);
  std::vector<int> log;
  std::vector<std::deque<noted>> work(threads);
  std::vector<std::thread> producers;
  for (int who = 0; who < threads; ++who) {
    producers.emplace_back([&, who] {
      auto& mine = work[static_cast<std::size_t>(who)];
      for (int i = 0; i < pushes; ++i) box->push(mine.emplace_back(log, who * pushes + i));
    });
  }
  while (log.size() < threads * pushes) {
    if (box->fall_asleep()) world.wait(never);
    box->wake_up();
    for (remote_work* at = box->take_all(); at != nullptr;) {
      remote_work* next = at->next();
      at->run();
      at = next;
    }
  }
  for (auto& p : producers) p.join();
  box->drop_reference();
  int last[threads] = {-1, -1, -1};
  for (const int number : log) {
    if (number % pushes != last[number / pushes] + 1) FAIL("out of order");
    last[number / pushes] = number % pushes;
  }
}
