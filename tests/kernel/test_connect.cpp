// Tests on the kernel: making connections, and what is left when one cannot be made.
#include "kernel.hpp"

#include <array>

using namespace kernel;

TEST_CASE("connect: a refused connection is an error that names the address, and leaves no socket") {
  in_time([]() -> task<> {
    const endpoint nobody = closed_port();
    const auto before = open_descriptors();
    std::string text;
    try {
      co_await tcp_stream::connect(nobody);
    } catch (const os_error& e) {
      CHECK(e.code() == std::errc::connection_refused);
      text = e.what();
    }
    CHECK(text == "connect " + nobody.to_string() + ": connection refused");
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("connect: an address that cannot be reached is an error, and leaves no socket") {
  in_time([]() -> task<> {
    const endpoint multicast("224.0.0.1", 9);  // no TCP connection can be made to a group
    const auto before = open_descriptors();
    const int error = co_await error_of([&]() -> task<> { co_await tcp_stream::connect(multicast); });
    CHECK(error == ENETUNREACH);
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("connect: one that is not answered can be timed out, and leaves no socket") {
  in_time([]() -> task<> {
    const full_listener nobody_answers;
    const auto before = open_descriptors();
    bool too_slow = false;
    try {
      auto connecting = tcp_stream::connect(nobody_answers.where());
      co_await with_timeout(100ms, std::move(connecting));
    } catch (const timed_out&) {
      too_slow = true;
    }
    CHECK(too_slow);
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("connect: as_result gives the error without an exception") {
  in_time([]() -> task<> {
    const result<tcp_stream> made = co_await as_result(tcp_stream::connect(closed_port()));
    CHECK_FALSE(made.has_value());
    CHECK(made.error() == std::errc::connection_refused);
  });
}

TEST_CASE("connect: both ends know each other's address") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    CHECK(ends.client.local() == ends.server.peer());
    CHECK(ends.client.peer() == ends.server.local());
    CHECK(ends.client.local().is_loopback());
  });
}

TEST_CASE("connect: by name, reaches a server that listens on one of its addresses") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    tcp_stream client = co_await tcp_stream::connect("localhost", listener.local().port());
    tcp_stream server = co_await listener.accept();
    co_await client.write_all("hello");
    std::array<std::byte, 5> hello;
    co_await server.read_exactly(hello);
    CHECK(hello[0] == std::byte{'h'});
  });
}

TEST_CASE("connect: by name, fails with the error of an address when all fail, and leaves no socket") {
  in_time([]() -> task<> {
    const endpoint nobody = closed_port();
    co_await resolve("localhost", 1);  // makes the default pool, which keeps descriptors of its own for a while
    const auto before = open_descriptors();
    const int error = co_await error_of([&]() -> task<> { co_await tcp_stream::connect("localhost", nobody.port()); });
    CHECK(error == ECONNREFUSED);
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("connect: by name, a cancelled one leaves no socket") {
  in_time([]() -> task<> {
    const full_listener nobody_answers;
    co_await resolve("localhost", 1);
    const auto before = open_descriptors();
    auto connecting = tcp_stream::connect("localhost", nobody_answers.where().port());
    const auto made = co_await move_on_after(100ms, std::move(connecting));
    CHECK_FALSE(made.has_value());
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("connect: a cancelled one that was made all the same is given or closed, never lost") {
  in_time([]() -> task<> {
    tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
    const auto before = open_descriptors();
    for (int round = 0; round < 200; ++round) {
      auto connecting = tcp_stream::connect(listener.local());
      const auto length = std::chrono::microseconds(round);
      const auto client = co_await move_on_after(length, std::move(connecting));
      const auto server = co_await move_on_after(1ms, listener.accept());
      if (client) CHECK(server.has_value());
    }
    CHECK(open_descriptors() == before);
  });
}
