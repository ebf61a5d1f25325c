// Bench: the load generator, one thread on epoll: load MODE PORT [--OPTION VALUE]...
//
// echo   keeps DEPTH messages of SIZE bytes in flight on each of CONNECTIONS connections
// churn  connects, sends one message, takes it back, closes; CONNECTIONS at a time
// idle   opens CONNECTIONS connections, one echo each, says `ready`, and keeps them until its input ends
#include "../descriptors.hpp"
#include "clocks.hpp"
#include "connection.hpp"

#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>

#include <fmt/core.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace bench {
namespace {

struct settings {
  std::map<std::string, std::uint64_t> values{
      {"connections", 64},
      {"depth", 1},
      {"size", 64},
      {"warm-up", 30},  // units: milliseconds
      {"time", 200},    // units: milliseconds
      {"requests", std::uint64_t{1} << 60},
      {"server", 0},  // its process number
  };
  std::string mode;
  std::uint16_t port = 0;

  std::uint64_t operator[](const char* name) const { return values.at(name); }
};

class poller {
 public:
  poller() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
  }
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;
  ~poller() { close(fd_); }

  void add(const connection& c, std::size_t index) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.u64 = index;
    if (epoll_ctl(fd_, EPOLL_CTL_ADD, c.fd(), &event) < 0) {
      throw std::system_error(errno, std::system_category(), "epoll_ctl");
    }
  }

  /// Calls each(index) for what is ready. errors: std::runtime_error when nothing is for ten seconds.
  template <class F>
  void wait(F each) {
    epoll_event events[256];
    const int count = epoll_wait(fd_, events, std::size(events), 10'000);
    if (count < 0 && errno != EINTR) throw std::system_error(errno, std::system_category(), "epoll_wait");
    if (count == 0) throw std::runtime_error("the server has not answered for ten seconds");
    for (int i = 0; i < count; ++i) each(static_cast<std::size_t>(events[i].data.u64));
  }

 private:
  int fd_;
};

/// What both kinds of load have in common: when to measure, and when to stop.
class course {
 public:
  explicit course(const settings& how)
      : warm_up_(static_cast<std::int64_t>(how["warm-up"]) * 1'000'000),
        time_(static_cast<std::int64_t>(how["time"]) * 1'000'000),
        most_(how["requests"]),
        recorder_(static_cast<pid_t>(how["server"])) {
    recorder_.begin();
  }

  bool goes_on() const noexcept { return !over_ && begun_ < most_; }
  void request_begun() noexcept { ++begun_; }
  void requests_ended(std::uint64_t count) noexcept { ended_ += count; }
  std::uint64_t begun() const noexcept { return begun_; }
  std::uint64_t ended() const noexcept { return ended_; }

  void look() {
    if (warm_) recorder_.look(ended_ - before_);
    const std::int64_t elapsed = recorder_.elapsed();
    if (!warm_ && elapsed >= warm_up_) {
      warm_ = true;
      before_ = ended_;
      recorder_.begin();
    } else if (warm_ && elapsed >= time_) {
      over_ = true;
    }
  }

  void print() const {
    std::string slices;
    for (const slice& s : recorder_.slices()) {
      slices += fmt::format("{}[{}, {}, {}, {}]", slices.empty() ? "" : ", ", s.requests, s.server, s.load, s.wall);
    }
    fmt::print("{{\"requests\": {}, \"slices\": [{}]}}\n", ended_, slices);
  }

 private:
  std::int64_t warm_up_, time_;
  std::uint64_t most_;
  slice_recorder recorder_;
  std::uint64_t begun_ = 0, ended_ = 0;
  std::uint64_t before_ = 0;  // ended when measuring began
  bool warm_ = false;
  bool over_ = false;
};

/// What every load has, and how it goes on: Load has start(), and serve(index) for a connection that is ready.
template <class Load>
class load {
 public:
  void run() {
    self().start();
    while (course_.ended() < course_.begun()) {
      poller_.wait([this](std::size_t index) { self().serve(index); });
      course_.look();
    }
    course_.print();
  }

 protected:
  explicit load(const settings& how) : how_(how), size_(how["size"]), course_(how) {}

  const settings& how_;
  const std::uint64_t size_;
  const pattern text_;
  poller poller_;
  std::vector<connection> connections_;
  course course_;

 private:
  Load& self() noexcept { return static_cast<Load&>(*this); }
};

class echo_load : public load<echo_load> {
 public:
  explicit echo_load(const settings& how) : load(how) {
    for (std::uint32_t i = 0; i < how["connections"]; ++i) {
      connections_.emplace_back(how.port, i);
      // Why: the listener's queue is finite; an answer on this one says that all those before were accepted.
      if (i % 128 == 127) converse(connections_.back());
      poller_.add(connections_.back(), i);
    }
    course_ = course(how);
  }

 private:
  friend load;

  void start() {
    for (connection& c : connections_) {
      for (std::uint64_t i = 0; i < how_["depth"]; ++i) begin(c);
      c.send(text_);
    }
  }

  void converse(connection& c) {
    c.grant(size_);
    c.exchange(text_);
  }

  void begin(connection& c) {
    if (!course_.goes_on()) return;
    c.grant(size_);
    course_.request_begun();
  }

  void serve(std::size_t index) {
    connection& c = connections_[index];
    const std::uint64_t before = c.received() / size_;
    c.receive(text_);
    const std::uint64_t answered = c.received() / size_ - before;
    course_.requests_ended(answered);
    for (std::uint64_t i = 0; i < answered; ++i) begin(c);
    c.send(text_);
  }
};

class churn_load : public load<churn_load> {
 public:
  explicit churn_load(const settings& how) : load(how) {}

 private:
  friend load;

  void start() {
    for (std::size_t i = 0; i < how_["connections"] && course_.goes_on(); ++i) {
      connections_.push_back(open(i));
      connections_.back().send(text_);
    }
  }

  connection open(std::size_t index) {
    connection c(how_.port, static_cast<std::uint32_t>(course_.begun()));
    c.grant(size_);
    course_.request_begun();
    poller_.add(c, index);
    return c;
  }

  void serve(std::size_t index) {
    connection& c = connections_[index];
    if (c.settled()) return;  // it was the last of its slot
    c.receive(text_);
    c.send(text_);
    if (!c.settled()) return;
    course_.requests_ended(1);
    if (!course_.goes_on()) return;
    connection next = open(index);
    c = std::move(next);
    c.send(text_);
  }
};

void keep_idle(const settings& how) {
  const pattern text;
  std::vector<connection> connections;
  for (std::uint32_t i = 0; i < how["connections"]; ++i) {
    connections.emplace_back(how.port, i);
    connections.back().grant(how["size"]);
    connections.back().exchange(text);
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  char ignored = 0;
  while (read(STDIN_FILENO, &ignored, 1) > 0) continue;
}

settings parse(int argc, char** argv) {
  if (argc < 3 || argc % 2 == 0) throw std::invalid_argument("load echo|churn|idle PORT [--OPTION VALUE]...");
  settings result;
  result.mode = argv[1];
  result.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  for (int i = 3; i < argc; i += 2) {
    const auto found = result.values.find(std::strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : "");
    if (found == result.values.end()) throw std::invalid_argument(fmt::format("there is no option {}", argv[i]));
    found->second = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (result["size"] == 0 || result["connections"] == 0 || result["depth"] == 0) {
    throw std::invalid_argument("size, connections and depth are at least 1");
  }
  return result;
}

void run(const settings& how) {
  if (how.mode == "echo") {
    echo_load(how).run();
  } else if (how.mode == "churn") {
    churn_load(how).run();
  } else if (how.mode == "idle") {
    keep_idle(how);
  } else {
    throw std::invalid_argument("the modes are echo, churn and idle");
  }
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  try {
    bench::allow_many_descriptors();
    const bench::settings how = bench::parse(argc, argv);
    bench::run(how);
  } catch (const std::exception& e) {
    fmt::print(stderr, "load: {}\n", e.what());
    return 1;
  }
}
