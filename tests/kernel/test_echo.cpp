// Tests on the kernel: bytes through TCP connections, in any number and in both directions at once.
#include "kernel.hpp"

#include <algorithm>
#include <array>

using namespace kernel;

namespace {

constexpr std::size_t MiB = 1 << 20;

std::byte byte_at(std::size_t position) {
  return static_cast<std::byte>(position * 31 + (position >> 8) * 7 + (position >> 16));
}

task<> send_pattern(tcp_stream* to, std::size_t size) {
  std::vector<std::byte> chunk(std::min<std::size_t>(size, MiB));
  for (std::size_t sent = 0; sent < size; sent += chunk.size()) {
    chunk.resize(std::min(chunk.size(), size - sent));
    for (std::size_t at = 0; at < chunk.size(); ++at) chunk[at] = byte_at(sent + at);
    co_await to->write_all(chunk);
  }
  co_await to->shutdown_send();
}

struct tally {
  std::size_t received = 0;
  std::size_t wrong = 0;
};

task<tally> receive_pattern(tcp_stream* from) {
  tally seen;
  std::vector<std::byte> buffer(64 * 1024);
  while (const std::size_t got = co_await from->read_some(buffer)) {
    for (std::size_t at = 0; at < got; ++at) seen.wrong += buffer[at] != byte_at(seen.received + at);
    seen.received += got;
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
      tally seen;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn(echo, std::move(ends.server));
        n.spawn(send_pattern, borrowed(&ends.client), size);
        seen = co_await receive_pattern(&ends.client);
      });
      CHECK(seen.received == size);
      CHECK(seen.wrong == 0);
    });
  }
}

TEST_CASE("stream: both sides send and receive at once without waiting for each other") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    constexpr std::size_t size = 4 * MiB;
    tally at_client, at_server;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn(send_pattern, borrowed(&ends.client), size);
      n.spawn(send_pattern, borrowed(&ends.server), size);
      n.spawn([&]() -> task<> { at_client = co_await receive_pattern(&ends.client); });
      at_server = co_await receive_pattern(&ends.server);
    });
    CHECK(at_client.received == size);
    CHECK(at_server.received == size);
    CHECK(at_client.wrong + at_server.wrong == 0);
  });
}

TEST_CASE("stream: write_all says how much the peer can have got when it is cancelled half way") {
  in_time([]() -> task<> {
    connection ends = co_await connect_pair();
    shrink_buffers(ends.client.fd());
    shrink_buffers(ends.server.fd());
    std::vector<std::byte> data(16 * MiB);
    for (std::size_t at = 0; at < data.size(); ++at) data[at] = byte_at(at);
    std::size_t sent = 1;
    auto writing = ends.client.write_all(data, sent);
    const bool finished = co_await move_on_after(50ms, std::move(writing));
    CHECK_FALSE(finished);
    CHECK(sent > 0);
    CHECK(sent < data.size());
    co_await ends.client.close();
    const tally seen = co_await receive_pattern(&ends.server);
    CHECK(seen.received == sent);
    CHECK(seen.wrong == 0);
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
