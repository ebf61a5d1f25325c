// Tests on the kernel: listeners that cannot be had, and why.
#include "kernel.hpp"

#include <fstream>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace kernel;

namespace {

/// What the os_error of binding to `where` says, and its code; empty when it works.
std::pair<std::string, int> bind_failure(const endpoint& where, const listen_options& how = {}) {
  try {
    tcp_listener::bind(where, how);
  } catch (const os_error& e) {
    return {e.what(), e.code().value()};
  }
  return {};
}

int first_unprivileged_port() {
  int port = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

}  // namespace

TEST_CASE("bind: an address in use is an error that names it") {
  const tcp_listener first = tcp_listener::bind(endpoint("localhost", 0));
  const std::string where = first.local().to_string();
  CHECK(bind_failure(first.local()) ==
        std::pair<std::string, int>("bind " + where + ": address already in use", EADDRINUSE));
}

TEST_CASE("bind: an address of another machine is an error that names it") {
  const std::pair<std::string, int> expected("bind 203.0.113.1:0: cannot assign requested address", EADDRNOTAVAIL);
  CHECK(bind_failure(endpoint("203.0.113.1", 0)) == expected);
}

TEST_CASE("bind: a privileged port is an error that names it, for those without the privilege") {
  if (first_unprivileged_port() <= 1) return kit::skip("every port is unprivileged here");
  const pid_t child = ::fork();
  if (child == 0) {
    const bool powerless = ::geteuid() != 0 || ::setresuid(65534, 65534, 65534) == 0;
    const std::pair<std::string, int> expected("bind 127.0.0.1:1: permission denied", EACCES);
    ::_exit(powerless && bind_failure(endpoint("127.0.0.1", 1)) == expected ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("bind: a name is no address") {
  CHECK_THROWS_AS(endpoint("no.such.host", 80), std::invalid_argument);
  CHECK_THROWS_AS(endpoint("127.0.0.1"), std::invalid_argument);
}

TEST_CASE("bind: a failed one leaves no socket") {
  const tcp_listener first = tcp_listener::bind(endpoint("localhost", 0));
  const auto before = open_descriptors();
  bind_failure(first.local());
  bind_failure(endpoint("203.0.113.1", 0));
  CHECK(open_descriptors() == before);
}

TEST_CASE("bind: port 0 gives a port of its own to each listener") {
  const tcp_listener a = tcp_listener::bind(endpoint("localhost", 0));
  const tcp_listener b = tcp_listener::bind(endpoint("localhost", 0));
  CHECK(a.local().port() != 0);
  CHECK(a.local().port() != b.local().port());
}

TEST_CASE("bind: a port is free again as soon as its listener is closed, although clients linger") {
  in_time([]() -> task<> {
    tcp_listener first = tcp_listener::bind(endpoint("localhost", 0));
    const endpoint where = first.local();
    tcp_stream client = co_await tcp_stream::connect(where);
    tcp_stream server = co_await first.accept();
    co_await server.close();  // who closes first keeps the port in TIME_WAIT
    co_await client.close();
    co_await first.close();
    const tcp_listener second = tcp_listener::bind(where);
    CHECK(second.local() == where);
  });
}

TEST_CASE("bind: several listeners share a port when all of them say so") {
  const tcp_listener first = tcp_listener::bind(endpoint("localhost", 0), listen_options().reuse_port());
  CHECK(bind_failure(first.local(), listen_options().reuse_port()).second == 0);
  CHECK(bind_failure(first.local()).second == EADDRINUSE);
}

TEST_CASE("bind: an IPv6 listener leaves the IPv4 port to others, unless told otherwise") {
  if (!v6_works()) return kit::skip("there is no IPv6 loopback address here");
  const tcp_listener v6 = tcp_listener::bind(endpoint("::", 0));
  CHECK(bind_failure(endpoint("0.0.0.0", v6.local().port())).second == 0);
  const tcp_listener both = tcp_listener::bind(endpoint("::", 0), listen_options().dual_stack());
  CHECK(bind_failure(endpoint("0.0.0.0", both.local().port())).second == EADDRINUSE);
}

TEST_CASE("bind: connections inherit that small writes go out at once") {
  for (const bool nodelay : {true, false}) {
    in_time([&]() -> task<> {
      tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0), listen_options().nodelay(nodelay));
      const tcp_stream client = co_await tcp_stream::connect(listener.local());
      const tcp_stream server = co_await listener.accept();
      int on = -1;
      socklen_t size = sizeof on;
      REQUIRE(::getsockopt(server.fd(), IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0);
      CHECK((on != 0) == nodelay);
    });
  }
}
