// Tests on the kernel: bytes through TCP connections, in any number and in both directions at once.
#include "kernel.hpp"

#include "kit/bytes.hpp"

#include <algorithm>
#include <array>

using namespace kernel;
using kit::checked_bytes;
using kit::pattern;

namespace {

constexpr std::size_t MiB = 1 << 20;

task<> send_pattern(tcp_stream* to, std::size_t size) {
  for (std::size_t sent = 0; sent < size; sent += MiB) {
    const std::string piece = pattern(std::min(MiB, size - sent), sent);
    co_await to->write_all(piece);
  }
  co_await to->shutdown_send();
}

task<checked_bytes> receive_pattern(tcp_stream* from) {
  checked_bytes seen;
  std::vector<std::byte> buffer(64 * 1024);
  while (const std::size_t got = co_await from->read_some(buffer)) {
    seen.add(std::span(buffer).first(got));
  }
  co_return seen;
}

task<> echo(tcp_stream client) {
  std::vector<std::byte> buffer(16 * 1024);
  while (const std::size_t got = co_await client.read_some(buffer)) {
    co_await client.write_all(std::span(buffer).first(got));
  }
}

}  // namespace

TEST_CASE("echo: every byte comes back in order, whatever their number") {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{65535}, MiB, 64 * MiB}) {
    INFO(size << " bytes");
    in_time([&]() -> task<> {
      connection ends = co_await connect_pair();
      checked_bytes seen;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn(echo, std::move(ends.server));
        n.spawn(send_pattern, borrowed(&ends.client), size);
        seen = co_await receive_pattern(&ends.client);
      });
      CHECK(seen.count() == size);
      CHECK(seen.wrong() == 0);
    });
  }
}

TEST_CASE("stream: both sides send and receive at once without waiting for each other") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    constexpr std::size_t size = 4 * MiB;
    checked_bytes at_client, at_server;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(send_pattern, borrowed(&ends.client), size);
      n.spawn(send_pattern, borrowed(&ends.server), size);
      n.spawn([&]() -> task<> { at_client = co_await receive_pattern(&ends.client); });
      at_server = co_await receive_pattern(&ends.server);
    });
    CHECK(at_client.count() == size);
    CHECK(at_server.count() == size);
    CHECK(at_client.wrong() + at_server.wrong() == 0);
  });
}

TEST_CASE("stream: write_all says how much the peer can have got when it is cancelled half way") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    const std::string data = pattern(16 * MiB);
    std::size_t sent = 1;
    auto writing = ends.client.write_all(data, sent);
    const bool finished = co_await move_on_after(50ms, std::move(writing));
    CHECK_FALSE(finished);
    CHECK(sent > 0);
    CHECK(sent < data.size());
    co_await ends.client.close();
    const checked_bytes seen = co_await receive_pattern(&ends.server);
    CHECK(seen.count() == sent);
    CHECK(seen.wrong() == 0);
  });
}

TEST_CASE("stream: read_exactly says how much it got when it is cancelled half way") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    co_await ends.client.write_all("half");
    std::array<std::byte, 8> whole;
    std::size_t got = 0;
    auto reading = ends.server.read_exactly(whole, got);
    const bool finished = co_await move_on_after(50ms, std::move(reading));
    CHECK_FALSE(finished);
    CHECK(got == 4);
    co_await ends.client.write_all("rest");
    co_await ends.server.read_exactly(std::span(whole).subspan(got));
    CHECK(std::string(reinterpret_cast<const char*>(whole.data()), whole.size()) == "halfrest");
  });
}
