// Tests of pipes: both ends, chunks, a reader that goes away, and cancel requests.
#include "process.hpp"

#include <array>

#include <unistd.h>

using namespace processes;

TEST_CASE("pipe: what is written comes out in order, in pieces and as chunks, and then the end") {
  in_time([]() -> task<> {
    auto [reader, writer] = make_pipe();
    std::string sent;
    for (int i = 0; sent.size() < 3u << 20; ++i) sent += std::to_string(i) + ",";
    std::string got;
    auto& r = reader;
    auto& w = writer;
    auto send = [&]() -> task<> {
      co_await w.write_all(sent);
      co_await w.shutdown_send();
    };
    auto take = [&]() -> task<> {
      std::array<std::byte, 1000> head;
      co_await r.read_exactly(head);
      got.append(reinterpret_cast<const char*>(head.data()), head.size());
      while (const chunk received = co_await r.receive()) got.append(received.text());
      const chunk again = co_await r.receive();
      CHECK(again.empty());
    };
    co_await when_all(send(), take());
    CHECK(got == sent);
  });
}

TEST_CASE("pipe: a receive goes on waiting when another reader of the same pipe was faster") {
  in_time([]() -> task<> {
    auto [reader, writer] = make_pipe();
    pipe_reader other(unique_fd(::dup(reader.fd())));
    std::string got;
    co_await with_nursery([&, &r = reader, &w = writer](nursery& n) -> task<> {
      for (pipe_reader* each : {&r, &other}) {
        n.spawn([&got, each]() -> task<> {
          const chunk received = co_await each->receive();
          got += received.text();
        });
      }
      co_await sleep_for(5ms);
      co_await w.write_all("1");
      co_await sleep_for(5ms);
      CHECK(got == "1");
      co_await w.write_all("2");
    });
    CHECK(got == "12");
  });
}

TEST_CASE("pipe: writing when nobody reads any more is EPIPE, and does not end the process") {
  in_time([]() -> task<> {
    auto [reader, writer] = make_pipe();
    co_await reader.close();
    std::error_code told;
    try {
      co_await writer.write_all("nobody");
    } catch (const os_error& e) {
      told = e.code();
    }
    CHECK(told == std::errc::broken_pipe);
    const std::string large(100'000, 'x');
    try {
      co_await writer.write_all(large);
    } catch (const os_error& e) {
      told = e.code();
    }
    CHECK(told == std::errc::broken_pipe);
  });
}

TEST_CASE("pipe: a cancelled write says how much has gone, and that much comes out") {
  in_time([]() -> task<> {
    auto [reader, writer] = make_pipe();
    auto& w = writer;
    const std::string much(1 << 20, 'x');
    std::size_t sent = 0;
    auto write = w.write_all(bytes_of(much), sent);
    const bool done = co_await move_on_after(50ms, std::move(write));
    CHECK_FALSE(done);
    CHECK(sent > 0);
    CHECK(sent < much.size());
    co_await w.close();
    std::size_t got = 0;
    while (const chunk received = co_await reader.receive()) got += received.size();
    CHECK(got == sent);
  });
}

TEST_CASE("pipe: a cancelled read loses nothing") {
  in_time([]() -> task<> {
    auto [reader, writer] = make_pipe();
    auto& r = reader;
    const auto early = co_await move_on_after(20ms, r.receive());
    CHECK_FALSE(early);
    std::array<std::byte, 10> space;
    const auto earlier = co_await move_on_after(20ms, r.read_some(space));
    CHECK_FALSE(earlier);
    co_await writer.write_all("all of it");
    const chunk received = co_await r.receive();
    CHECK(received.text() == "all of it");
  });
}
