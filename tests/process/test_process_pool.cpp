// Tests of process_pool: what comes back from its workers, what becomes of them, and that nothing of them is left.
#include "process.hpp"

#include "../kernel/handlers.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <tuple>

#include <dirent.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace processes;

namespace {

/// What parent and workers both see. One for the whole program, made before any pool.
struct board {
  std::atomic<int> tickets{0};
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::atomic<int> pid{0};
  std::atomic<int> other_pid{0};
  std::atomic<bool> go{false};
};

board& shared() {
  static board* const made = [] {
    void* memory = ::mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return ::new (memory) board;
  }();
  return *made;
}

board& clean_board() {
  shared().~board();
  return *::new (static_cast<void*>(&shared())) board;
}

/// A zombie counts as one.
bool exists(int pid) {
  return ::kill(pid, 0) == 0;
}

/// A zombie does not, which is what an orphan is until somebody else reaps it.
bool runs(int pid) {
  const std::string stat = contents("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t after_name = stat.rfind(") ");
  return after_name != std::string::npos && stat.compare(after_name + 2, 1, "Z") != 0;
}

task<> expect_soon_not(bool (*holds)(int), int pid) {
  for (int tries = 0; tries < 1000 && holds(pid); ++tries) co_await sleep_for(5ms);
  CHECK_FALSE(holds(pid));
}

/// Dead and reaped.
task<> expect_gone(int pid) {
  return expect_soon_not(exists, pid);
}

/// Dead, and perhaps for somebody else to reap.
task<> expect_dead(int pid) {
  return expect_soon_not(runs, pid);
}

int own_pid() {
  return ::getpid();
}

int run_for_ever() {
  shared().pid = ::getpid();
  for (;;) ::pause();
}

int wait_for_go() {
  shared().pid = ::getpid();
  while (!shared().go) ::usleep(1000);
  return ::getpid();
}

task<> until_it_runs() {
  while (shared().pid == 0) co_await sleep_for(1ms);
}

/// How f(args...) dies; exit code 77 when it does not.
template <class... Call>
task<process::status> death_of(process_pool& pool, Call... call) {
  auto work = pool.run(call...);
  const auto died = co_await kit::thrown_by<worker_died>([&] { return std::move(work); });
  co_return died ? died->status() : process::status::of_exit(77);
}

template <class T>
task<> expect_same(process_pool& pool, T value) {
  const T back = co_await pool.run([](T x) { return x; }, value);
  CHECK(back == value);
}

template <class Error, class... Call>
task<std::string> text_of(process_pool& pool, Call... call) {
  auto work = pool.run(call...);
  const auto thrown = co_await kit::thrown_by<Error>([&] { return std::move(work); });
  co_return thrown ? thrown->what() : "nothing";
}

struct point {
  int x;
  double y;
  bool operator==(const point&) const = default;
};

class without_default {
 public:
  explicit without_default(int n) noexcept : n_(n) {}
  bool operator==(const without_default&) const = default;

 private:
  int n_;
};

enum class colour { red, green };

int twice(int x) noexcept {
  return 2 * x;
}
int apply_to(int (*f)(int) noexcept, int x) {
  return f(x);
}
std::size_t length(const std::string& text) {
  return text.size();
}

}  // namespace

// --- What goes in and comes out

TEST_CASE("process_pool: whatever can be sent arrives as it was, in both directions") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    co_await expect_same(pool, 42);
    co_await expect_same(pool, -0.5);
    co_await expect_same(pool, colour::green);
    co_await expect_same(pool, point{1, 2.5});
    co_await expect_same(pool, without_default(3));
    co_await expect_same(pool, 5ms);
    co_await expect_same(pool, std::string());
    co_await expect_same(pool, std::string("a\0b", 3));
    co_await expect_same(pool, std::u16string(u"wide"));
    co_await expect_same(pool, std::vector<int>());
    co_await expect_same(pool, std::vector<int>(1000, 7));
    co_await expect_same(pool, std::vector<bool>(9, true));
    co_await expect_same(pool, std::vector<point>(3, point{1, 2}));
    co_await expect_same(pool, std::vector<without_default>(3, without_default(4)));
    co_await expect_same(pool, std::vector<std::string>(3, "text"));
    co_await expect_same(pool, std::vector<std::vector<std::string>>(2, std::vector<std::string>(2, "deep")));
    co_await expect_same(pool, std::vector<std::tuple<>>(5));
    const std::array<double, 1000> numbers{1, 2, 3};
    co_await expect_same(pool, numbers);
    co_await expect_same(pool, std::optional<int>());
    co_await expect_same(pool, std::optional<std::string>("text"));
    co_await expect_same(pool, std::pair<int, std::string>(1, "one"));
    co_await expect_same(pool, std::tuple<>());
    co_await expect_same(pool, std::tuple<std::tuple<int>>(std::tuple<int>(1)));
    using all = std::tuple<std::optional<std::pair<int, std::string>>, std::vector<std::array<int, 2>>, colour>;
    const all everything({{1, "one"}}, {{1, 2}, {3, 4}}, colour::red);
    co_await expect_same(pool, everything);
    const std::array<std::string, 2> texts{"one", "two"};
    co_await expect_same(pool, texts);
  });
}

TEST_CASE("process_pool: functions, lambdas without captures, function pointers as arguments, and text of any kind") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    const int by_name = co_await pool.run(twice, 21);
    CHECK(by_name == 42);
    const int by_address = co_await pool.run(&twice, 21);
    CHECK(by_address == 42);
    const int by_lambda = co_await pool.run([](auto a, int b) { return a - b; }, 44L, 2);
    CHECK(by_lambda == 42);
    const int handed_over = co_await pool.run(apply_to, twice, 21);
    CHECK(handed_over == 42);
    const std::size_t of_literal = co_await pool.run(length, "four");
    CHECK(of_literal == 4);
    const std::size_t of_view = co_await pool.run(length, std::string_view("four and more").substr(0, 4));
    CHECK(of_view == 4);
    const std::string said = co_await pool.run([](std::string_view text) { return text.substr(1); }, "xtext");
    CHECK(said == "text");
    const std::string literal = co_await pool.run([] { return "a literal"; });
    CHECK(literal == "a literal");
    co_await pool.run([](int) {}, 1);
  });
}

TEST_CASE("process_pool: arguments are taken when run() is called, not when it is awaited") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    std::string text = "before";
    auto call = pool.run([](std::string t) { return t; }, text);
    text = "after";
    const std::string sent = co_await std::move(call);
    CHECK(sent == "before");
  });
}

TEST_CASE("process_pool: an exception comes back with its text, and its worker goes on") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    const int worker = co_await pool.run(own_pid);
    const std::string text = co_await text_of<remote_error>(pool, [] { throw std::out_of_range("too far"); });
    CHECK(text == "too far");
    const std::string other = co_await text_of<remote_error>(pool, []() -> int { throw 5; });
    CHECK(other == "something that is no std::exception");
    const int still = co_await pool.run(own_pid);
    CHECK(still == worker);
    CHECK(worker != ::getpid());
  });
}

TEST_CASE("process_pool: 64 MiB go in and come out, by several workers at once, and the loop goes on") {
  process_pool pool(2);
  in_time([&]() -> task<> {
    std::string big(64 << 20, 'x');
    for (std::size_t i = 0; i < big.size(); i += 4096) big[i] = static_cast<char>('a' + i / 4096 % 26);
    int ticks = 0;
    const auto body = [&](nursery& n) -> task<> {
      const auto tick = [&ticks]() -> task<> {
        for (;; ++ticks) co_await sleep_for(1ms);
      };
      auto ticking = n.spawn(tick);
      const auto both = [&](nursery& calls) -> task<> {
        const auto echo = [&]() -> task<> {
          const std::string back = co_await pool.run([](std::string text) { return text; }, big);
          CHECK(back == big);
        };
        calls.spawn(echo);
        calls.spawn(echo);
        co_return;
      };
      co_await with_nursery(both);
      ticking.cancel();
    };
    co_await with_nursery(body);
    CHECK(ticks > 0);
  });
}

TEST_CASE(
    "process_pool: what a function prints is there when its result is, once, with what the parent had not flushed") {
  const folder place;
  const std::string path = place / "printed";
  std::FILE* const file = std::fopen(path.c_str(), "w");
  std::fputs("parent\n", file);
  {
    process_pool pool(1);
    in_time([&]() -> task<> {
      static std::FILE* there = nullptr;
      const auto print = [](const std::string& name) {
        if (there == nullptr) there = std::fopen(name.c_str(), "a");
        std::fputs("worker\n", there);
      };
      co_await pool.run(print, path);
      CHECK(contents(path) == "parent\nworker\n");
      co_await pool.run(print, path);
      CHECK(contents(path) == "parent\nworker\nworker\n");
    });
  }
  std::fclose(file);
  CHECK(contents(path) == "parent\nworker\nworker\n");
}

// --- Who runs what when

TEST_CASE("process_pool: of many calls no more run at once than there are workers, and all of them run") {
  clean_board();
  process_pool pool(3);
  CHECK(pool.workers() == 3);
  in_time([&]() -> task<> {
    int sum = 0;
    const auto body = [&](nursery& n) -> task<> {
      for (int i = 0; i < 45; ++i) {
        n.spawn(
            [&](int x) -> task<> {
              sum += co_await pool.run(
                  [](int y) {
                    const int now = ++shared().running;
                    if (now > shared().most) shared().most = now;
                    ::usleep(1000);
                    --shared().running;
                    return y;
                  },
                  x);
            },
            i);
      }
      co_return;
    };
    co_await with_nursery(body);
    CHECK(sum == 44 * 45 / 2);
    CHECK(shared().most <= 3);
    CHECK(shared().most >= 2);
  });
}

TEST_CASE("process_pool: calls begin in the order of asking") {
  clean_board();
  process_pool pool(1);
  in_time([&]() -> task<> {
    const auto body = [&](nursery& n) -> task<> {
      for (int i = 0; i < 20; ++i) {
        n.spawn(
            [&](int place) -> task<> {
              const int ticket = co_await pool.run([] { return shared().tickets++; });
              CHECK(ticket == place);
            },
            i);
      }
      co_return;
    };
    co_await with_nursery(body);
  });
}

TEST_CASE("process_pool: a call that is cancelled while it waits for a worker never begins, and takes nothing") {
  clean_board();
  process_pool pool(1);
  in_time([&]() -> task<> {
    const auto body = [&](nursery& n) -> task<> {
      auto first = n.spawn([&] { return pool.run(wait_for_go); });
      co_await until_it_runs();
      const auto late = co_await move_on_after(20ms, pool.run([] { ++shared().tickets; }));
      CHECK_FALSE(late);
      shared().go = true;
      const int worker = co_await first;
      CHECK(worker == shared().pid);
      const int same = co_await pool.run(own_pid);
      CHECK(same == worker);
      CHECK(shared().tickets == 0);
    };
    co_await with_nursery(body);
  });
}

TEST_CASE("process_pool: in a scope that is cancelled already nothing begins, and no worker is lost") {
  clean_board();
  process_pool pool(1);
  in_time([&]() -> task<> {
    const int worker = co_await pool.run(own_pid);
    cancel_scope scope;
    scope.cancel();
    const bool done = co_await scope.run([&] { return pool.run([] { ++shared().tickets; }); });
    CHECK_FALSE(done);
    const int same = co_await pool.run(own_pid);
    CHECK(same == worker);
    CHECK(shared().tickets == 0);
  });
}

// --- Workers that end

TEST_CASE("process_pool: a function that crashes or exits is worker_died, which says how, and the next call works") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    int before = co_await pool.run(own_pid);
    const auto expect_death = [&](process::status expected, auto function) -> task<> {
      const process::status how = co_await death_of(pool, function);
      CHECK(how == expected);
      const int after = co_await pool.run(own_pid);
      CHECK(after != before);
      co_await expect_gone(before);
      before = after;
    };
    co_await expect_death(process::status::of_signal(SIGSEGV), [] { ::raise(SIGSEGV); });
    co_await expect_death(process::status::of_signal(SIGABRT), [] { std::abort(); });
    co_await expect_death(process::status::of_signal(SIGKILL), [] { ::raise(SIGKILL); });
    co_await expect_death(process::status::of_signal(SIGTERM), [] { ::raise(SIGTERM); });
    co_await expect_death(process::status::of_exit(0), [] { ::_exit(0); });
    co_await expect_death(process::status::of_exit(3), [] { ::_exit(3); });
    co_await expect_death(process::status::of_exit(4), [] { ::execl("/bin/sh", "sh", "-c", "exit 4", nullptr); });
    co_await expect_death(process::status::of_signal(SIGABRT), [] { std::terminate(); });
  });
}

TEST_CASE("process_pool: worker_died has the signal, and a text for people") {
  const worker_died by_signal(process::status::of_signal(SIGSEGV));
  CHECK(by_signal.signal() == SIGSEGV);
  CHECK(std::string(by_signal.what()) ==
        "a worker of a process_pool has ended in a call: signal 11 (Segmentation fault)");
  CHECK(worker_died(process::status::of_exit(3)).signal() == 0);
}

TEST_CASE("process_pool: while some calls crash, no other call is lost") {
  process_pool pool(3);
  in_time([&]() -> task<> {
    int right = 0, died = 0;
    const auto body = [&](nursery& n) -> task<> {
      for (int i = 0; i < 60; ++i) {
        n.spawn(
            [&](int number) -> task<> {
              const auto crash_or_not = [](int x) {
                if (x % 4 == 0) ::raise(SIGSEGV);
                return x;
              };
              try {
                const int back = co_await pool.run(crash_or_not, number);
                if (back == number) ++right;
              } catch (const worker_died& e) {
                if (e.signal() == SIGSEGV && number % 4 == 0) ++died;
              }
            },
            i);
      }
      co_return;
    };
    co_await with_nursery(body);
    CHECK(right == 45);
    CHECK(died == 15);
  });
}

TEST_CASE("process_pool: a worker that is killed while it has nothing to do is replaced, and no call notices") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    int before = 0;
    for (int round = 0; round < 5; ++round) {
      const int worker = co_await pool.run(own_pid);
      CHECK(worker != before);
      before = worker;
      ::kill(worker, SIGKILL);
      co_await expect_gone(worker);  // reaped, although nobody has asked for it
    }
  });
}

TEST_CASE("process_pool: a worker that dies while it is sent a call, or sends its result, is worker_died") {
  clean_board();
  process_pool pool(1);
  in_time([&]() -> task<> {
    const std::string big(16 << 20, 'x');
    const int reader = co_await pool.run(own_pid);
    ::kill(reader, SIGSTOP);
    const auto kill_soon = [](int pid) -> task<> {
      co_await sleep_for(50ms);
      ::kill(pid, SIGKILL);
    };
    const auto while_it_reads = [&](nursery& n) -> task<> {
      n.spawn(kill_soon, reader);
      const process::status how = co_await death_of(pool, length, big);
      CHECK(how == process::status::of_signal(SIGKILL));
    };
    co_await with_nursery(while_it_reads);
    // The child of the worker stops it while the parent still reads what it has begun to send.
    const auto send_and_die = [] {
      const int worker = ::getpid();
      if (::fork() == 0) {
        ::usleep(20'000);
        ::kill(worker, SIGKILL);
        ::_exit(0);
      }
      return std::vector<std::string>(1 << 20, "a lot of small things to send");
    };
    const process::status how = co_await death_of(pool, send_and_die);
    CHECK((how == process::status::of_signal(SIGKILL) || how == process::status::of_exit(77)));
    const std::size_t works = co_await pool.run(length, "four");
    CHECK(works == 4);
  });
}

TEST_CASE("process_pool: a child of the function's own that lives on does not hide the worker's death, and goes too") {
  clean_board();
  process_pool pool(1);
  in_time([&]() -> task<> {
    const auto leave_child = [](bool of_own_session) {
      const int child = ::fork();
      if (child == 0) {
        if (of_own_session) ::setsid();
        shared().pid = ::getpid();
        for (;;) ::pause();
      }
      while (shared().pid == 0) ::usleep(1000);
      ::raise(SIGSEGV);
    };
    const process::status how = co_await death_of(pool, leave_child, false);
    CHECK(how == process::status::of_signal(SIGSEGV));
    co_await expect_dead(shared().pid);
    shared().pid = 0;
    const process::status with_stray = co_await death_of(pool, leave_child, true);
    CHECK(with_stray == process::status::of_signal(SIGSEGV));
    ::kill(shared().pid, SIGKILL);
    co_await expect_dead(shared().pid);
  });
}

// --- Calls that are stopped

TEST_CASE("process_pool: a timeout kills and reaps the worker before the await ends, and the next call works") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    for (int round = 0; round < 5; ++round) {
      clean_board();
      const auto start = std::chrono::steady_clock::now();
      auto work = with_timeout(100ms, pool.run(run_for_ever));
      const auto late = co_await kit::thrown_by<timed_out>([&] { return std::move(work); });
      CHECK(late);
      CHECK(std::chrono::steady_clock::now() - start < 5s);
      if (shared().pid != 0) CHECK_FALSE(exists(shared().pid));
      const std::size_t works = co_await pool.run(length, "four");
      CHECK(works == 4);
    }
  });
}

TEST_CASE("process_pool: a function that blocks every signal, or was stopped, is killed all the same") {
  clean_board();
  process_pool pool(2);
  in_time([&]() -> task<> {
    const auto deaf = [] {
      sigset_t all;
      ::sigfillset(&all);
      ::sigprocmask(SIG_SETMASK, &all, nullptr);
      run_for_ever();
    };
    const auto stopped = [] {
      shared().other_pid = ::getpid();
      ::raise(SIGSTOP);
    };
    const auto both = [&](nursery& n) -> task<> {
      n.spawn([&] { return pool.run(deaf); });
      n.spawn([&] { return pool.run(stopped); });
      co_await until_it_runs();
      while (shared().other_pid == 0) co_await sleep_for(1ms);
      n.cancel();
    };
    co_await with_nursery(both);
    CHECK_FALSE(exists(shared().pid));
    CHECK_FALSE(exists(shared().other_pid));
  });
}

TEST_CASE("process_pool: calls with much to carry, cancelled at any time, give their result or nothing") {
  process_pool pool(2);
  in_time([&]() -> task<> {
    const std::string big(1 << 20, 'x');
    int given = 0, stopped = 0;
    for (int i = 0; i < 60; ++i) {
      const auto back =
          co_await move_on_after(std::chrono::microseconds(i * 100), pool.run([](std::string t) { return t; }, big));
      ++(back ? given : stopped);
      if (back) CHECK(*back == big);
    }
    CHECK(given + stopped == 60);
    CHECK(stopped > 0);
    const std::string back = co_await pool.run([](std::string t) { return t; }, big);
    CHECK(back == big);
  });
}

TEST_CASE("process_pool: a result that has come in time is given, although the task is cancelled") {
  process_pool pool(1);
  in_time([&]() -> task<> {
    const int worker = co_await pool.run(own_pid);
    cancel_scope scope;
    const auto body = [&](nursery& n) -> task<> {
      auto call = n.spawn([&]() -> task<std::optional<int>> { return scope.run([&] { return pool.run(own_pid); }); });
      co_await yield_now();
      ::usleep(200'000);  // the loop stands still, and the result comes meanwhile
      co_await yield_now();
      scope.cancel();
      const std::optional<int> result = co_await call;
      const int next = co_await pool.run(own_pid);
      CHECK((result == worker) == (next == worker));  // killed only if nothing was given
    };
    co_await with_nursery(body);
  });
}

// --- What workers find

TEST_CASE("process_pool: a worker has no descriptors of the parent's but the first three, and its own socket") {
  const auto [reading, writing] = plain_pipe();
  process_pool first(1);
  process_pool pool(1);
  in_time([&]() -> task<> {
    co_await first.run(own_pid);
    const auto open_ones = [] {
      const std::set<int> open = open_descriptors();
      return std::vector<int>(open.begin(), open.end());
    };
    const std::vector<int> open = co_await pool.run(open_ones);
    CHECK(std::count_if(open.begin(), open.end(), [](int fd) { return fd > 2; }) == 1);
  });
}

TEST_CASE("process_pool: a worker begins with default signal handling and no signal blocked") {
  const handled interrupt(SIGINT, [](int) {});
  const handled ignored(SIGUSR1, SIG_IGN);
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  {
    process_pool pool(1);
    in_time([&]() -> task<> {
      const auto count_changed = [] {
        sigset_t mask;
        ::sigprocmask(SIG_SETMASK, nullptr, &mask);
        int changed = 0;
        for (int signal = 1; signal < 32; ++signal) {
          if (disposition_of(signal).sa_handler != SIG_DFL || ::sigismember(&mask, signal) == 1) ++changed;
        }
        return changed;
      };
      const int changed = co_await pool.run(count_changed);
      CHECK(changed == 0);
    });
  }
  CHECK(disposition_of(SIGUSR1).sa_handler == SIG_IGN);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("process_pool: a function may run a loop of its own, also when the pool was made by a task") {
  in_time([]() -> task<> {
    process_pool pool(1);
    const auto own_loop = [](int x) {
      return run(
          [](int y) -> task<int> {
            co_await sleep_for(1ms);
            co_return y + 1;
          },
          x);
    };
    const int result = co_await pool.run(own_loop, 41);
    CHECK(result == 42);
  });
}

TEST_CASE("process_pool: what a function does to memory stays in its worker, until that is replaced") {
  static int counter = 0;
  process_pool pool(1);
  in_time([&]() -> task<> {
    const auto count = [] { return ++counter; };
    co_await pool.run(count);
    const int second = co_await pool.run(count);
    CHECK(second == 2);
    CHECK(counter == 0);
    co_await death_of(pool, [] { ::_exit(1); });
    const int first_again = co_await pool.run(count);
    CHECK(first_again == 1);
  });
}

TEST_CASE("process_pool: workers are replaced while the parent's threads allocate and lock") {
  process_pool pool(2);
  std::atomic<bool> end{false};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&end] {
      while (!end) std::make_unique<std::vector<std::string>>(10, "a text that does not fit into itself");
    });
  }
  in_time([&]() -> task<> {
    for (int round = 0; round < 20; ++round) {
      const process::status how = co_await death_of(pool, [] { ::raise(SIGSEGV); });
      CHECK(how.signal() == SIGSEGV);
      const std::size_t works = co_await pool.run([](std::size_t n) { return std::string(n, 'x').size(); }, 1000u);
      CHECK(works == 1000);
    }
  });
  end = true;
}

// --- Pools and loops

TEST_CASE("process_pool: outlives a loop, and serves the next one with the same workers") {
  process_pool pool(1);
  int before = 0;
  for (int round = 0; round < 3; ++round) {
    in_time([&]() -> task<> {
      const int worker = co_await pool.run(own_pid);
      if (round > 0) CHECK(worker == before);
      before = worker;
    });
  }
}

TEST_CASE("process_pool: several pools live side by side, and end in any order") {
  auto first = std::make_unique<process_pool>(2);
  auto second = std::make_unique<process_pool>(2);
  in_time([&]() -> task<> {
    auto both = when_all(first->run(own_pid), second->run(own_pid));
    const auto [one, other] = co_await std::move(both);
    CHECK(one != other);
    first.reset();
    co_await expect_gone(one);
    const int still = co_await second->run(own_pid);
    CHECK(still == other);
    auto third = std::make_unique<process_pool>(1);
    second.reset();
    co_await expect_gone(other);
    const std::size_t works = co_await third->run(length, "four");
    CHECK(works == 4);
  });
}

TEST_CASE("process_pool: after shutdown() nothing of it is left, and calls are refused") {
  const std::set<int> before = open_descriptors();
  process_pool pool(3);
  int worker = 0, server = 0;
  in_time([&]() -> task<> {
    worker = co_await pool.run(own_pid);
    server = co_await pool.run([] { return static_cast<int>(::getppid()); });
  });
  CHECK(exists(worker));
  CHECK(exists(server));
  pool.shutdown();
  CHECK_FALSE(exists(worker));
  CHECK_FALSE(exists(server));
  pool.shutdown();
  CHECK(pool.workers() == 3);
  in_time([&]() -> task<> {
    const std::string refused = co_await text_of<std::logic_error>(pool, own_pid);
    CHECK(refused == "process_pool: run() after shutdown()");
  });
  CHECK(open_descriptors() == before);
}

TEST_CASE("process_pool: one that was never used ends, too, and one of 0 has a worker for each processor") {
  {
    process_pool unused(5);
  }
  CHECK(process_pool().workers() == std::max(1u, std::thread::hardware_concurrency()));
}

TEST_CASE("process_pool: a worker refuses to use its copy of the pool") {
  static process_pool* copied = nullptr;
  const auto made = std::make_unique<process_pool>(1);
  copied = made.get();
  process_pool other(1);
  in_time([&]() -> task<> {
    const auto use_copy = [] { run([]() -> task<> { co_await copied->run(own_pid); }); };
    const std::string text = co_await text_of<remote_error>(other, use_copy);
    CHECK(text == "process_pool: only the process that has made a pool can use it");
    co_await other.run([] { copied->shutdown(); });
    const std::size_t works = co_await made->run(length, "four");
    CHECK(works == 4);
  });
}

TEST_CASE(
    "process_pool: when the process that forks its workers is killed, they go, and calls fail instead of hanging") {
  clean_board();
  process_pool pool(2);
  in_time([&]() -> task<> {
    const int server = co_await pool.run([] { return static_cast<int>(::getppid()); });
    const auto body = [&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const std::string text = co_await text_of<os_error>(pool, run_for_ever);
        CHECK_THAT(text, kit::contains("its fork server has ended"));
      });
      co_await until_it_runs();
      ::kill(server, SIGKILL);
    };
    co_await with_nursery(body);
    const std::string next = co_await text_of<os_error>(pool, own_pid);
    CHECK_THAT(next, kit::contains("its fork server has ended"));
  });
}

TEST_CASE("process_pool: when the parent is killed, its workers go, busy or not") {
  clean_board();
  const int parent = ::fork();
  if (parent == 0) {
    process_pool pool(2);
    run([&]() -> task<> {
      const auto body = [&](nursery& n) -> task<> {
        n.spawn([&] { return pool.run(run_for_ever); });
        shared().other_pid = co_await pool.run(own_pid);
      };
      co_await with_nursery(body);
    });
    ::_exit(0);
  }
  in_time([&]() -> task<> {
    co_await until_it_runs();
    while (shared().other_pid == 0) co_await sleep_for(1ms);
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    co_await expect_dead(shared().pid);
    co_await expect_dead(shared().other_pid);
  });
}
