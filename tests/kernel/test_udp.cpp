// Tests on the kernel of udp_socket.hpp: datagrams whole, empty, too long or refused, and the ways to bind a socket.
#include "kernel.hpp"

#include "kit/bytes.hpp"

#include <array>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>

using namespace kernel;

namespace {

constexpr std::size_t longest = 65'507;  // what IPv4 has room for

udp_socket any_socket() {
  return udp_socket::bind(endpoint("localhost", 0));
}

/// What the os_error of binding to `where` says, and its code; empty when it works.
std::pair<std::string, int> bind_failure(const endpoint& where, const udp_options& how = {}) {
  try {
    udp_socket::bind(where, how);
  } catch (const os_error& e) {
    return {e.what(), e.code().value()};
  }
  return {};
}

/// The next datagram must be this, whole; gives who sent it.
task<endpoint> expect_datagram(udp_socket& at, std::string expected) {
  std::vector<std::byte> buffer(longest);
  const datagram received = co_await at.receive(buffer);
  CHECK(received.text() == expected);
  CHECK(received.size() == expected.size());
  CHECK_FALSE(received.truncated());
  co_return received.peer();
}

task<> expect_none(udp_socket& at) {
  std::array<std::byte, 16> buffer;
  const auto received = co_await move_on_after(5ms, at.receive(buffer));
  CHECK_FALSE(received);
}

task<> receive_any(udp_socket& at) {
  std::array<std::byte, 16> buffer;
  co_await at.receive(buffer);
}

task<> wait_and_expect(udp_socket& at, int error) {
  co_await expect_error(error, [&]() -> task<> { co_await receive_any(at); });
}

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0);
  return value;
}

}  // namespace

// --- Datagrams

TEST_CASE("udp: a datagram goes there and its answer back, and both say who sent them") {
  in_time([]() -> task<> {
    udp_socket server = any_socket();
    udp_socket client = any_socket();
    co_await client.send_to("question", server.local());
    const endpoint asked_by = co_await expect_datagram(server, "question");
    CHECK(asked_by == client.local());
    co_await server.send_to("answer", asked_by);
    const endpoint answered_by = co_await expect_datagram(client, "answer");
    CHECK(answered_by == server.local());
  });
}

TEST_CASE("udp: one who receives waits for what comes later") {
  in_time([]() -> task<> {
    udp_socket server = any_socket();
    udp_socket client = any_socket();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await expect_datagram(server, "late"); });
      co_await sleep_for(5ms);
      co_await client.send_to("late", server.local());
    });
  });
}

TEST_CASE("udp: datagrams keep their borders, and an empty one is not the end of anything") {
  in_time([]() -> task<> {
    udp_socket server = any_socket();
    udp_socket client = any_socket();
    for (const char* text : {"one", "", "three", "", ""}) co_await client.send_to(text, server.local());
    for (const char* text : {"one", "", "three", "", ""}) {
      const endpoint sender = co_await expect_datagram(server, text);
      CHECK(sender == client.local());
    }
    co_await expect_none(server);
  });
}

TEST_CASE("udp: a buffer that is too small has the beginning and says so, and the next datagram is whole") {
  in_time([]() -> task<> {
    udp_socket server = any_socket();
    udp_socket client = any_socket();
    std::array<std::byte, 5> buffer;
    for (const char* text : {"hell", "hello", "hello!", "hello world", "again"}) {
      co_await client.send_to(text, server.local());
    }
    for (const char* text : {"hell", "hello"}) {
      const datagram whole = co_await server.receive(buffer);
      CHECK(whole.text() == text);
      CHECK_FALSE(whole.truncated());
    }
    for (int round = 0; round < 2; ++round) {
      const datagram cut = co_await server.receive(buffer);
      CHECK(cut.text() == "hello");
      CHECK(cut.truncated());
      CHECK(cut.peer() == client.local());
    }
    co_await expect_datagram(server, "again");
  });
}

TEST_CASE("udp: without a buffer a datagram is dropped, and only an empty one is whole") {
  in_time([]() -> task<> {
    udp_socket server = any_socket();
    udp_socket client = any_socket();
    co_await client.send_to("dropped", server.local());
    co_await client.send_to("", server.local());
    const datagram dropped = co_await server.receive({});
    CHECK(dropped.size() == 0);
    CHECK(dropped.truncated());
    const datagram empty = co_await server.receive({});
    CHECK(empty.size() == 0);
    CHECK_FALSE(empty.truncated());
  });
}

TEST_CASE("udp: a datagram has 65,507 bytes at most; a longer one is an error that names its address") {
  in_time([]() -> task<> {
    udp_socket server = any_socket();
    udp_socket client = any_socket();
    const std::string text = kit::pattern(longest + 1);
    const auto send = [&]() -> task<> { co_await client.send_to(text, server.local()); };
    const auto error = co_await kit::thrown_by<os_error>(send);
    REQUIRE(error);
    CHECK(error->code().value() == EMSGSIZE);
    CHECK(std::string(error->what()) == "send to " + server.local().to_string() + ": message too long");
    co_await client.send_to(std::string_view(text).substr(0, longest), server.local());
    co_await expect_datagram(server, text.substr(0, longest));
  });
}

TEST_CASE("udp: who always finds a datagram lets the others run") {
  in_time([]() -> task<> {
    udp_socket socket = any_socket();
    int turns_of_others = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      const job other = n.spawn([&]() -> task<> {
        for (;;) {
          ++turns_of_others;
          co_await yield_now();
        }
      });
      for (int round = 0; round < 1000; ++round) {
        co_await socket.send_to("x", socket.local());
        co_await expect_datagram(socket, "x");
      }
      n.cancel();
    });
    CHECK(turns_of_others > 3);
  });
}

// --- Connected sockets

TEST_CASE("udp: a connected socket sends to its peer, and hears nobody else") {
  in_time([]() -> task<> {
    udp_socket server = any_socket();
    udp_socket stranger = any_socket();
    udp_socket client = udp_socket::connect(server.local());
    CHECK(client.peer() == server.local());
    co_await client.send("question");
    const endpoint asked_by = co_await expect_datagram(server, "question");
    CHECK(asked_by == client.local());
    co_await stranger.send_to("not for you", client.local());
    co_await server.send_to("answer", client.local());
    const endpoint answered_by = co_await expect_datagram(client, "answer");
    CHECK(answered_by == server.local());
    co_await expect_none(client);
  });
}

TEST_CASE("udp: one without a peer can be asked for none, and sends only with an address") {
  in_time([]() -> task<> {
    udp_socket socket = any_socket();
    CHECK_THROWS_AS(socket.peer(), os_error);
    co_await expect_error(EDESTADDRREQ, [&]() -> task<> { co_await socket.send("to whom?"); });
  });
}

TEST_CASE("udp: that nobody was there is told once, and the socket can be used on") {
  in_time([]() -> task<> {
    const endpoint where = any_socket().local();
    udp_socket client = udp_socket::connect(where);
    co_await client.send("to nobody");
    const auto error = co_await kit::thrown_by<os_error>([&]() -> task<> { co_await receive_any(client); });
    REQUIRE(error);
    CHECK(error->code().value() == ECONNREFUSED);
    CHECK(std::string(error->what()) == "receive fd " + std::to_string(client.fd()) + ": connection refused");
    co_await client.send("to nobody");
    co_await expect_error(ECONNREFUSED, [&]() -> task<> { co_await client.send("not sent"); });
    udp_socket server = udp_socket::bind(where);
    co_await client.send("to somebody");
    co_await expect_datagram(server, "to somebody");
    co_await expect_none(server);
  });
}

TEST_CASE("udp: one who waits is told that nobody is there, also as a value") {
  in_time([]() -> task<> {
    udp_socket client = udp_socket::connect(any_socket().local());
    std::error_code told;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        std::array<std::byte, 16> buffer;
        const auto received = co_await as_result(client.receive(buffer));
        if (!received) told = received.error();
      });
      co_await sleep_for(5ms);
      co_await client.send("to nobody");
    });
    CHECK(told == std::errc::connection_refused);
  });
}

// --- Use by several, cancellation, the end

TEST_CASE("udp: a second one who receives is refused, and one may send meanwhile") {
  in_time([]() -> task<> {
    udp_socket socket = any_socket();
    udp_socket other = any_socket();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await expect_datagram(socket, "for the first"); });
      co_await yield_now();
      co_await wait_and_expect(socket, EBUSY);
      co_await socket.send_to("meanwhile", other.local());
      co_await expect_datagram(other, "meanwhile");
      co_await other.send_to("for the first", socket.local());
    });
  });
}

TEST_CASE("udp: a cancelled receive loses no datagram") {
  in_time([]() -> task<> {
    udp_socket socket = any_socket();
    udp_socket other = any_socket();
    for (int round = 0; round < 50; ++round) {
      const std::string text = std::to_string(round);
      std::array<std::byte, 16> buffer;
      bool received = false;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          const datagram got = co_await socket.receive(buffer);
          received = true;
          CHECK(got.text() == text);
        });
        co_await yield_now();
        if (round % 2 == 0) co_await other.send_to(text, socket.local());  // both at once
        n.cancel();
      });
      if (round % 2 != 0) co_await other.send_to(text, socket.local());
      if (!received) co_await expect_datagram(socket, text);
    }
  });
}

TEST_CASE("udp: closing ends one who waits, and what comes after it") {
  in_time([]() -> task<> {
    udp_socket socket = any_socket();
    const endpoint where = socket.local();
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await wait_and_expect(socket, EBADF); });
      co_await yield_now();
      co_await socket.close();
    });
    CHECK(socket.fd() == -1);
    co_await socket.close();
    co_await wait_and_expect(socket, EBADF);
    co_await expect_error(EBADF, [&]() -> task<> { co_await socket.send_to("x", where); });
    CHECK(bind_failure(where).second == 0);
  });
}

// --- Binding

TEST_CASE("udp: an address that cannot be had is an error that names it, and leaves no socket") {
  const udp_socket first = any_socket();
  const auto before = open_descriptors();
  const std::string where = first.local().to_string();
  CHECK(bind_failure(first.local()) ==
        std::pair<std::string, int>("bind " + where + ": address already in use", EADDRINUSE));
  CHECK(bind_failure(endpoint("203.0.113.1", 0)).second == EADDRNOTAVAIL);
  CHECK(bind_failure(endpoint("unix:@no-datagrams")).second == EAFNOSUPPORT);
  CHECK_THROWS_AS(udp_socket::connect(endpoint("unix:@no-datagrams")), os_error);
  CHECK_THROWS_AS(udp_socket::connect(endpoint("255.255.255.255", 9)), os_error);
  CHECK(open_descriptors() == before);
}

TEST_CASE("udp: several sockets have one address when all of them say so, and one of them gets a datagram") {
  in_time([]() -> task<> {
    for (const bool port_only : {false, true}) {
      const udp_options how = port_only ? udp_options().reuse_port() : udp_options().reuse_address();
      udp_socket first = udp_socket::bind(endpoint("localhost", 0), how);
      CHECK(bind_failure(first.local()).second == EADDRINUSE);
      udp_socket second = udp_socket::bind(first.local(), how);
      CHECK(second.local() == first.local());
      udp_socket sender = any_socket();
      co_await sender.send_to("once", first.local());
      std::array<std::byte, 16> buffer;
      const auto by_first = co_await move_on_after(5ms, first.receive(buffer));
      const auto by_second = co_await move_on_after(5ms, second.receive(buffer));
      CHECK(by_first.has_value() != by_second.has_value());
    }
  });
}

TEST_CASE("udp: an IPv6 socket leaves the IPv4 port to others, unless it takes both") {
  if (!v6_works()) return kit::skip("there is no IPv6 loopback address here");
  in_time([]() -> task<> {
    udp_socket v6 = udp_socket::bind(endpoint("::", 0));
    CHECK(bind_failure(endpoint("0.0.0.0", v6.local().port())).second == 0);
    udp_socket both = udp_socket::bind(endpoint("::", 0), udp_options().dual_stack());
    const std::uint16_t port = both.local().port();
    CHECK(bind_failure(endpoint("0.0.0.0", port)).second == EADDRINUSE);
    udp_socket v4 = any_socket();
    co_await v4.send_to("from v4", endpoint("127.0.0.1", port));
    const endpoint sender = co_await expect_datagram(both, "from v4");
    CHECK(sender.to_string() == "[::ffff:127.0.0.1]:" + std::to_string(v4.local().port()));
    co_await both.send_to("to v4", sender);
    co_await expect_datagram(v4, "to v4");
    co_await v6.send_to("from v6", endpoint("::1", port));
    const endpoint v6_sender = co_await expect_datagram(both, "from v6");
    CHECK(v6_sender == endpoint("::1", v6.local().port()));
  });
}

TEST_CASE("udp: only who asked for it may send to a broadcast address") {
  in_time([]() -> task<> {
    udp_socket server = udp_socket::bind(endpoint("0.0.0.0", 0));
    const endpoint everybody("127.255.255.255", server.local().port());
    udp_socket shy = any_socket();
    co_await expect_error(EACCES, [&]() -> task<> { co_await shy.send_to("all", everybody); });
    udp_socket loud = udp_socket::bind(endpoint("localhost", 0), udp_options().broadcast());
    co_await loud.send_to("all", everybody);
    co_await expect_datagram(server, "all");
  });
}

TEST_CASE("udp: what finds no room in the receive buffer is lost, and the others arrive in order") {
  in_time([]() -> task<> {
    udp_socket server = udp_socket::bind(endpoint("localhost", 0), udp_options().receive_buffer(16 * 1024));
    CHECK(option(server.fd(), SO_RCVBUF) == 32 * 1024);
    udp_socket client = any_socket();
    const std::string filling(1000, 'x');
    constexpr int sent = 200;
    for (int number = 0; number < sent; ++number) {
      co_await client.send_to(std::to_string(1000 + number) + filling, server.local());
    }
    int count = 0;
    int last = 0;
    std::array<std::byte, 4> buffer;
    for (;;) {
      const auto received = co_await move_on_after(5ms, server.receive(buffer));
      if (!received) break;
      const int number = std::stoi(std::string(received->text()));
      CHECK(number > last);
      last = number;
      ++count;
    }
    CHECK(count > 0);
    CHECK(count < sent);
  });
}

TEST_CASE("udp: programs that are started do not inherit a socket") {
  const udp_socket bound = any_socket();
  const udp_socket connected = udp_socket::connect(bound.local());
  for (const int fd : {bound.fd(), connected.fd()}) CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}
