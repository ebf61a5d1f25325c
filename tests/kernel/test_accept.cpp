// Tests on the kernel: accepting, many times and under odd circumstances.
#include "kernel.hpp"

#include <algorithm>
#include <array>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kernel;

namespace {

void reset(unique_fd fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/// While it lives, the process cannot open one more descriptor.
class no_more_descriptors {
 public:
  no_more_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const unique_fd lowest_free(::dup(0));
    rlimit less = before_;
    less.rlim_cur = static_cast<rlim_t>(lowest_free.get());
    ::setrlimit(RLIMIT_NOFILE, &less);
  }
  no_more_descriptors(const no_more_descriptors&) = delete;
  no_more_descriptors& operator=(const no_more_descriptors&) = delete;
  ~no_more_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("accept: connections made before it starts are all delivered") {
  in_time([]() -> task<> {
    constexpr int count = 100;
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    std::vector<unique_fd> clients;
    std::set<std::string> expected, accepted;
    for (int i = 0; i < count; ++i) {
      clients.push_back(plain_connect(listener.local()));
      expected.insert(tcp_stream(unique_fd(::dup(clients.back().get()))).local().to_string());
    }
    for (int i = 0; i < count; ++i) {
      const tcp_stream server = co_await listener.accept();
      accepted.insert(server.peer().to_string());
    }
    CHECK(accepted == expected);
  });
}

TEST_CASE("accept: survives clients that reset their connection before it is accepted") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    for (int i = 0; i < 10; ++i) reset(plain_connect(listener.local()));
    const unique_fd healthy = plain_connect(listener.local());
    CHECK(::send(healthy.get(), "x", 1, 0) == 1);
    int working = 0;
    for (int i = 0; i < 11 && working == 0; ++i) {
      tcp_stream server = co_await listener.accept();
      std::array<std::byte, 1> to;
      const result<std::size_t> got = co_await as_result(server.read_some(to));
      if (got && *got == 1) ++working;
    }
    CHECK(working == 1);
  });
}

TEST_CASE("accept: a connection that comes while its task is cancelled stays with the kernel or is given") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    const auto before = open_descriptors();
    int given = 0;
    for (int round = 0; round < 200; ++round) {
      unique_fd client;
      co_await with_nursery([&](nursery& n) -> task<> {
        auto accepting = n.spawn([&]() -> task<> {
          const tcp_stream server = co_await listener.accept();
          ++given;
        });
        co_await yield_now();
        client = plain_connect(listener.local());
        accepting.cancel();
        co_return;
      });
      const auto left_over = co_await move_on_after(0ms, listener.accept());
      if (left_over) ++given;
      if (given <= round) {
        const tcp_stream server = co_await listener.accept();
        ++given;
      }
    }
    CHECK(given == 200);
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("accept: closing the listener ends it with an error, and the port is refused from then on") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    const endpoint where = listener.local();
    int error = -1;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { error = co_await error_of([&]() -> task<> { co_await listener.accept(); }); });
      co_await sleep_for(5ms);
      co_await listener.close();
      co_await listener.close();
    });
    CHECK(error == EBADF);
    co_await expect_error(ECONNREFUSED, [&]() -> task<> { co_await tcp_stream::connect(where); });
  });
}

TEST_CASE("accept: a second task that accepts is told that the listener is busy") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await listener.accept(); });
      co_await yield_now();
      co_await expect_error(EBUSY, [&]() -> task<> { co_await listener.accept(); });
      n.cancel();
    });
  });
}

TEST_CASE("accept: without a free descriptor it fails, and the connection waits for a better time") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    const unique_fd client = plain_connect(listener.local());
    {
      const no_more_descriptors guard;
      co_await expect_error(EMFILE, [&]() -> task<> { co_await listener.accept(); });
      co_await expect_error(EMFILE, [&]() -> task<> { co_await listener.accept(); });
    }
    const tcp_stream server = co_await listener.accept();
    CHECK(server.fd() >= 0);
  });
}

TEST_CASE("serve: goes on accepting after it ran out of descriptors, and says so at most once a second") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    const endpoint where = listener.local();
    int warnings = 0;
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 4; ++i) clients.emplace_back(unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    co_await with_nursery([&](nursery& n) -> task<> {
      serve_options limits;
      limits.on_warning([&](std::string_view) { ++warnings; });
      const auto session = [](tcp_stream client) -> task<> { co_await client.write_all("hi"); };
      n.spawn([&]() -> task<> { co_await serve(std::move(listener), session, limits); });
      co_await sleep_for(5ms);
      {
        const no_more_descriptors guard;
        for (const tcp_stream& client : clients) {
          REQUIRE(::connect(client.fd(), where.data(), static_cast<socklen_t>(where.size())) == 0);
        }
        co_await sleep_for(1300ms);
      }
      CHECK(warnings >= 1);
      CHECK(warnings <= 3);
      for (tcp_stream& client : clients) co_await expect_text(client, "hi");
      n.cancel();
    });
  });
}

TEST_CASE("accept: 5,000 connections one after the other get no slower and leave nothing") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    const auto before = open_descriptors();
    std::vector<std::chrono::nanoseconds> thousands;
    int highest = 0;
    for (int thousand = 0; thousand < 5; ++thousand) {
      const auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < 1000; ++i) {
        tcp_stream client = co_await tcp_stream::connect(listener.local());
        tcp_stream server = co_await listener.accept();
        highest = std::max({highest, client.fd(), server.fd()});
        client.reset_on_close();  // or the ports of all of them would be in TIME_WAIT
        co_await client.close();
        co_await server.close();
      }
      thousands.push_back(std::chrono::steady_clock::now() - start);
    }
    CHECK(highest <= *before.rbegin() + 3);
    CHECK(thousands.back() < 10 * thousands.front() + 1s);
    CHECK(open_descriptors() == before);
  });
}
