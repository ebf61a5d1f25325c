// Tests on the kernel: incoming(), under bursts, cancellation, shortage and closing, and no connection lost.
#include "kernel.hpp"

#include "kit/random.hpp"

#include <optional>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kernel;

namespace {

tcp_listener any_listener() {
  return tcp_listener::bind(endpoint("localhost", 0));
}

std::vector<unique_fd> connect_many(const endpoint& to, int count) {
  std::vector<unique_fd> clients;
  for (int i = 0; i < count; ++i) clients.push_back(plain_connect(to));
  return clients;
}

/// True when the connection has ended, in either way, and nothing was sent. Waits for it, at most some seconds.
bool has_ended(const unique_fd& client) {
  const timeval patience{10, 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char byte;
  const ssize_t got = ::recv(client.get(), &byte, 1, 0);
  return got == 0 || (got < 0 && errno == ECONNRESET);
}

task<std::string> first_word(tcp_stream& from) {
  const chunk received = co_await from.receive();
  co_return std::string(received.text());
}

}  // namespace

TEST_CASE("incoming: a burst of connections is accepted, each once") {
  in_time([]() -> task<> {
    tcp_listener listener = any_listener();
    const std::vector<unique_fd> clients = connect_many(listener.local(), 200);
    std::set<std::string> words;
    auto connections = listener.incoming();
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::string word = std::to_string(i);
      REQUIRE(::write(clients[i].get(), word.data(), word.size()) == static_cast<ssize_t>(word.size()));
      auto client = co_await connections.next();
      REQUIRE(client.has_value());
      words.insert(co_await first_word(*client));
    }
    CHECK(words.size() == clients.size());
  });
}

TEST_CASE("incoming: a cancelled wait loses no connection, whenever it is cancelled") {
  in_time([]() -> task<> {
    tcp_listener listener = any_listener();
    auto connections = listener.incoming();
    kit::random dice(7);
    int accepted = 0, made = 0;
    for (int round = 0; round < 200; ++round) {
      const unique_fd client = plain_connect(listener.local());
      ++made;
      if (const auto one = co_await move_on_after(std::chrono::microseconds(dice.below(60)), connections.next())) {
        accepted += one->has_value() ? 1 : 0;
      }
    }
    while (accepted < made) {
      auto one = co_await connections.next();
      accepted += one.has_value() ? 1 : 0;
    }
    const auto another = co_await move_on_after(5ms, connections.next());
    CHECK_FALSE(another.has_value());
    CHECK(accepted == made);
  });
}

TEST_CASE("incoming: accept() and incoming() take turns, and no connection is lost") {
  in_time([]() -> task<> {
    tcp_listener listener = any_listener();
    int accepted = 0;
    for (int round = 0; round < 50; ++round) {
      const std::vector<unique_fd> clients = connect_many(listener.local(), 4);
      {
        auto connections = listener.incoming();
        for (int i = 0; i < 2; ++i) {
          auto one = co_await connections.next();
          accepted += one.has_value() ? 1 : 0;
        }
      }
      for (int i = 0; i < 2; ++i) {
        const tcp_stream one = co_await listener.accept();
        ++accepted;
      }
    }
    CHECK(accepted == 200);
  });
}

TEST_CASE("incoming: closing the listener ends the wait with nothing, and the connections that nobody took") {
  in_time([]() -> task<> {
    for (const int taken : {0, 1, 3}) {
      tcp_listener listener = any_listener();
      const std::vector<unique_fd> clients = connect_many(listener.local(), 20);
      auto connections = listener.incoming();
      std::vector<tcp_stream> streams;
      for (int i = 0; i < taken; ++i) streams.push_back(*co_await connections.next());
      co_await listener.close();
      const auto nothing = co_await connections.next();
      CHECK_FALSE(nothing.has_value());
      for (std::size_t i = static_cast<std::size_t>(taken); i < clients.size(); ++i) CHECK(has_ended(clients[i]));
    }
  });
}

TEST_CASE("incoming: a task that waits is told of the close") {
  in_time([]() -> task<> {
    tcp_listener listener = any_listener();
    bool over = false;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        auto connections = listener.incoming();
        const auto nothing = co_await connections.next();
        over = !nothing.has_value();
      });
      co_await sleep_for(1ms);
      co_await listener.close();
    });
    CHECK(over);
  });
}

TEST_CASE("incoming: connections may come when nobody takes them, and the listener may go") {
  std::vector<unique_fd> clients;
  in_time([&]() -> task<> {
    tcp_listener listener = any_listener();
    auto connections = listener.incoming();
    const auto nothing = co_await move_on_after(1ms, connections.next());
    CHECK_FALSE(nothing.has_value());
    clients = connect_many(listener.local(), 100);
    co_await yield_now();
  });
  for (const unique_fd& client : clients) CHECK(has_ended(client));
}

TEST_CASE("incoming: a listener outlives its loop, with the connections that came meanwhile") {
  std::optional<tcp_listener> listener;
  std::vector<unique_fd> clients;
  in_time([&]() -> task<> {
    listener = any_listener();
    auto connections = listener->incoming();
    const auto nothing = co_await move_on_after(1ms, connections.next());
    CHECK_FALSE(nothing.has_value());
    clients = connect_many(listener->local(), 5);
    co_await sleep_for(1ms);
  });
  in_time([&]() -> task<> {
    auto connections = listener->incoming();
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const auto one = co_await connections.next();
      CHECK(one.has_value());
    }
  });
}

TEST_CASE("incoming: a lack of descriptors is an error, told once, and afterwards the connection is still there") {
  in_time([]() -> task<> {
    tcp_listener listener = any_listener();
    auto connections = listener.incoming();
    const std::vector<unique_fd> clients = connect_many(listener.local(), 3);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int lowest_free = ::dup(listener.fd());
    ::close(lowest_free);
    const rlimit none{static_cast<rlim_t>(lowest_free), before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    auto refused = co_await as_result(connections.next());
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(refused.error().value() == EMFILE);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      auto one = co_await as_result(connections.next());
      const bool accepted = one && one->has_value();
      CHECK(accepted);
    }
  });
}

TEST_CASE("incoming: a listener that does not wait is waited for all the same, without going round and round") {
  in_time([]() -> task<> {
    tcp_listener listener = any_listener();
    REQUIRE(::fcntl(listener.fd(), F_SETFL, O_NONBLOCK) == 0);
    auto connections = listener.incoming();
    for (int round = 0; round < 20; ++round) {
      const std::uint64_t before = this_scheduler().stats().sqes;
      const auto nothing = co_await move_on_after(2ms, connections.next());
      CHECK_FALSE(nothing.has_value());
      CHECK(this_scheduler().stats().sqes - before <= 4);
      const unique_fd client = plain_connect(listener.local());
      const auto one = co_await connections.next();
      CHECK(one.has_value());
    }
  });
}

TEST_CASE("incoming: a request that nobody waits for does not hide a deadlock") {
  const auto stuck = []() -> task<> {
    tcp_listener listener = any_listener();
    auto connections = listener.incoming();
    static_cast<void>(co_await move_on_after(1ms, connections.next()));
    event never;
    co_await never.wait();
  };
  CHECK_THROWS_AS(run(stuck), deadlock_error);
}
