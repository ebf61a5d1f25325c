// Tests of endpoint.hpp: what it parses it prints again, and it refuses everything else.
#include "kit/catch.hpp"

#include <ringlet/endpoint.hpp>

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

using ringlet::endpoint;

namespace {

constexpr std::size_t longest_path = sizeof(sockaddr_un::sun_path);  // 108, a closing zero included

std::string why_not(std::string_view text) {
  try {
    const endpoint parsed(text);
    return "parsed as " + parsed.to_string();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
}

endpoint from_system(const void* address, std::size_t size) {
  return endpoint(static_cast<const sockaddr*>(address), size);
}

}  // namespace

TEST_CASE("endpoint: what it prints it parses again to the same address") {
  for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:0",
                           "[2001:db8::ff00:42:8329]:443", "[::ffff:1.2.3.4]:5566", "unix:/run/ringlet.sock",
                           "unix:relative.sock", "unix:@abstract", "unix:@", "unix:/with:colon"}) {
    const endpoint parsed{std::string_view(text)};
    CHECK(parsed.to_string() == text);
    CHECK(endpoint(parsed.to_string()) == parsed);
    CHECK(endpoint(parsed.data(), parsed.size()) == parsed);
  }
}

TEST_CASE("endpoint: an address that can be written in several ways prints in one") {
  CHECK(endpoint("[0:0:0:0:0:0:0:1]:80").to_string() == "[::1]:80");
  CHECK(endpoint("[2001:DB8::A]:1").to_string() == "[2001:db8::a]:1");
  CHECK(endpoint("[::FFFF:102:304]:1").to_string() == "[::ffff:1.2.3.4]:1");
  CHECK(endpoint("localhost:5566") == endpoint("127.0.0.1:5566"));
  CHECK(endpoint("[127.0.0.1]:80") == endpoint("127.0.0.1:80"));
  CHECK(endpoint("127.0.0.1:0080") == endpoint("127.0.0.1:80"));
}

TEST_CASE("endpoint: says of what kind it is") {
  CHECK(endpoint("127.0.0.1:80").is_v4());
  CHECK(endpoint("[::1]:80").is_v6());
  CHECK(endpoint("[::ffff:1.2.3.4]:80").is_v6());
  CHECK(endpoint("unix:/a").is_unix());
  CHECK(endpoint("127.0.0.1:80").family() == AF_INET);
  CHECK(endpoint("[::1]:80").family() == AF_INET6);
  CHECK(endpoint("unix:@a").family() == AF_UNIX);
  CHECK_FALSE(endpoint("[::1]:80").is_v4());
  CHECK_FALSE(endpoint("unix:/a").is_v6());
}

TEST_CASE("endpoint: host and port can be had and given one by one") {
  CHECK(endpoint("10.1.2.3:4").host() == "10.1.2.3");
  CHECK(endpoint("10.1.2.3:4").port() == 4);
  CHECK(endpoint("[fe80::1]:4").host() == "fe80::1");
  CHECK(endpoint("unix:/tmp/s").host() == "/tmp/s");
  CHECK(endpoint("unix:@name").host() == "@name");
  CHECK(endpoint("unix:/tmp/s").port() == 0);
  CHECK(endpoint("::1", 443) == endpoint("[::1]:443"));
  CHECK(endpoint("1.2.3.4", 65535) == endpoint("1.2.3.4:65535"));
  CHECK(endpoint("localhost", 1) == endpoint("127.0.0.1:1"));
  CHECK(endpoint("1.2.3.4:5").with_port(6) == endpoint("1.2.3.4:6"));
  CHECK(endpoint("[::1]:5").with_port(0) == endpoint("[::1]:0"));
  CHECK(endpoint("unix:/a").with_port(6) == endpoint("unix:/a"));
}

TEST_CASE("endpoint: the default is any address and any port") {
  CHECK(endpoint().to_string() == "0.0.0.0:0");
  CHECK(endpoint() == endpoint("0.0.0.0:0"));
}

TEST_CASE("endpoint: differs by address, port and kind") {
  const std::vector<endpoint> different{endpoint("1.2.3.4:5"),          endpoint("1.2.3.4:6"), endpoint("1.2.3.5:5"),
                                        endpoint("[::ffff:1.2.3.4]:5"), endpoint("[::1]:5"),   endpoint("unix:/a"),
                                        endpoint("unix:/ab"),           endpoint("unix:@a"),   endpoint("unix:@ab")};
  for (std::size_t a = 0; a < different.size(); ++a) {
    for (std::size_t b = 0; b < different.size(); ++b) CHECK((different[a] == different[b]) == (a == b));
  }
}

TEST_CASE("endpoint: only this machine reaches loopback and unix-domain addresses") {
  for (const char* local : {"127.0.0.1:1", "127.255.0.3:1", "[::1]:1", "unix:/a", "unix:@a", "localhost:1"}) {
    CHECK(endpoint(std::string_view(local)).is_loopback());
  }
  for (const char* open : {"0.0.0.0:1", "128.0.0.1:1", "126.255.255.255:1", "192.168.0.1:1", "[::]:1", "[::2]:1"}) {
    CHECK_FALSE(endpoint(std::string_view(open)).is_loopback());
  }
}

TEST_CASE("endpoint: an IPv6 address that stands for loopback of IPv4 is loopback") {
  CHECK(endpoint("[::ffff:127.0.0.1]:1").is_loopback());
  CHECK_FALSE(endpoint("[::ffff:128.0.0.1]:1").is_loopback());
}

TEST_CASE("endpoint: a unix-domain path has up to 107 bytes, and an abstract name one more with its @") {
  const std::string longest = "/" + std::string(longest_path - 2, 'p');
  REQUIRE(longest.size() == 107);
  CHECK(endpoint("unix:" + longest).host() == longest);
  CHECK(endpoint("unix:" + longest).size() == sizeof(sockaddr_un));
  CHECK_THAT(why_not("unix:" + longest + "p"), kit::contains("107 bytes"));

  const std::string longest_name = "@" + std::string(longest_path - 1, 'n');
  REQUIRE(longest_name.size() == 108);
  CHECK(endpoint("unix:" + longest_name).host() == longest_name);
  CHECK(endpoint("unix:" + longest_name).size() == sizeof(sockaddr_un));
  CHECK_THAT(why_not("unix:" + longest_name + "n"), kit::contains("bytes"));
}

TEST_CASE("endpoint: the system's form of a unix-domain address is what bind(2) wants") {
  const endpoint path("unix:/ab");
  const auto* address = reinterpret_cast<const sockaddr_un*>(path.data());
  CHECK(path.size() == offsetof(sockaddr_un, sun_path) + 4);  // with its closing zero
  CHECK(std::string(address->sun_path) == "/ab");
  const endpoint abstract("unix:@ab");
  const auto* hidden = reinterpret_cast<const sockaddr_un*>(abstract.data());
  CHECK(abstract.size() == offsetof(sockaddr_un, sun_path) + 3);  // and without one
  CHECK(hidden->sun_path[0] == '\0');
  CHECK(hidden->sun_path[1] == 'a');
}

TEST_CASE("endpoint: what the system gives is taken as it is") {
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  std::memset(path.sun_path, 'x', sizeof path.sun_path);  // the kernel may give 108 bytes without a zero
  CHECK(from_system(&path, sizeof path).host() == std::string(108, 'x'));

  sockaddr_un unnamed{};
  unnamed.sun_family = AF_UNIX;
  CHECK(from_system(&unnamed, offsetof(sockaddr_un, sun_path)).to_string() == "unix:");

  sockaddr_in6 larger{};
  larger.sin6_family = AF_INET6;
  larger.sin6_port = htons(80);
  larger.sin6_addr = in6addr_loopback;
  sockaddr_storage storage{};
  std::memcpy(&storage, &larger, sizeof larger);
  CHECK(from_system(&storage, sizeof storage) == endpoint("[::1]:80"));
}

TEST_CASE("endpoint: what the system could not mean is refused") {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  CHECK_THROWS_AS(from_system(&v4, sizeof v4 - 1), std::invalid_argument);
  CHECK_THROWS_AS(from_system(&v4, 0), std::invalid_argument);
  CHECK_THROWS_AS(from_system(&v4, 1), std::invalid_argument);
  v4.sin_family = AF_INET6;
  CHECK_THROWS_AS(from_system(&v4, sizeof v4), std::invalid_argument);
  v4.sin_family = AF_UNSPEC;
  CHECK_THROWS_AS(from_system(&v4, sizeof v4), std::invalid_argument);
  sockaddr_storage huge{};
  huge.ss_family = AF_UNIX;
  CHECK_THROWS_AS(from_system(&huge, sizeof huge), std::invalid_argument);
}

TEST_CASE("endpoint: bad text is refused with the text and the reason") {
  for (const char* text : {"",
                           ":",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:-1",
                           "127.0.0.1:65536",
                           "127.0.0.1:8o",
                           "127.0.0.1: 80",
                           "127.0.0.1:80 ",
                           " 127.0.0.1:80",
                           "127.0.0.1:+80",
                           "127.0.0.1:0x50",
                           "127.0.0.1:99999999999999999999",
                           "256.0.0.1:80",
                           "1.2.3:80",
                           "1.2.3.4.5:80",
                           "1.2.3.04:80",
                           "example.com:80",
                           "::1:80",
                           "[::1]",
                           "[::1]80",
                           "[::1:80",
                           "::1]:80",
                           "[]:80",
                           "[::g]:80",
                           "[1:2:3]:80",
                           ":80",
                           "unix:",
                           "Unix:/a",
                           "tcp:127.0.0.1:80",
                           "localhost",
                           "[localhost:80"}) {
    INFO(text);
    const std::string why = why_not(text);
    CHECK_THAT(why, kit::contains("bad endpoint \""));
  }
  CHECK_THAT(why_not("127.0.0.1:65536"), kit::contains("\"127.0.0.1:65536\": the port"));
  CHECK_THAT(why_not("127.0.0.1"), kit::contains("no port"));
  CHECK_THAT(why_not("[::1]"), kit::contains("no port"));
  CHECK_THAT(why_not("::1:80"), kit::contains("brackets"));
  CHECK_THAT(why_not("example.com:80"), kit::contains("resolve()"));
}

TEST_CASE("endpoint: a zero byte ends no address early") {
  using namespace std::string_view_literals;
  CHECK_THAT(why_not("127.0.0.1\0x:80"sv), kit::contains("bad endpoint"));
  CHECK_THAT(why_not("127.0.0.1:80\0"sv), kit::contains("bad endpoint"));
  CHECK_THAT(why_not("unix:/a\0b"sv), kit::contains("zero byte"));
  CHECK_THROWS_AS(endpoint("::1\0"sv, 80), std::invalid_argument);
}
