// Tests of receive(): leases on received bytes, whatever arrives when, and nothing lost.
#include "kit/bytes.hpp"
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;
using kit::pattern;

namespace {

task<> send_all(socket_stream& to, std::string text) {
  co_await to.write_all(text);
  co_await to.shutdown_send();
}

task<std::string> receive_all(socket_stream& from) {
  std::string all;
  while (const chunk received = co_await from.receive()) all += received.text();
  co_return all;
}

}  // namespace

TEST_CASE("receive: gives every byte once, in order, and then an empty chunk again and again") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const std::string sent = pattern(5'000);
    std::string got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await send_all(a, sent); });
      got = co_await receive_all(b);
    });
    CHECK(got == sent);
    for (int i = 0; i < 3; ++i) {
      const chunk end = co_await b.receive();
      CHECK(end.empty());
    }
  });
}

TEST_CASE("receive: a stream that brings a lot and a reader that is slow lose nothing") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [a, b] = world.connection(20'000);
    const std::string sent = pattern(60'000);
    std::string got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await send_all(a, sent); });
      for (;;) {
        co_await sleep_for(got.size() < 20'000 ? 10ms : 0ms);
        const chunk received = co_await b.receive();
        if (received.empty()) break;
        got += received.text();
      }
    });
    CHECK(got == sent);
  });
}

TEST_CASE("receive: small messages after a lot, and a lot after small messages") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const std::string large = pattern(50'000);
    for (int round = 0; round < 3; ++round) {
      co_await a.write_all(large);
      std::string got;
      while (got.size() < large.size()) {
        const chunk received = co_await b.receive();
        got += received.text();
      }
      CHECK(got == large);
      for (int message = 0; message < 20; ++message) {
        co_await a.write_all("a small message");
        const chunk received = co_await b.receive();
        CHECK(received.text() == "a small message");
      }
    }
  });
}

TEST_CASE("receive: a cancelled wait loses nothing, whenever it is cancelled") {
  for (auto cancel_after = 0us; cancel_after <= 5000us; cancel_after += 500us) {
    kit::in_every_order(fault_plan().delay(1ms), [cancel_after](simulation& world) -> task<> {
      auto [a, b] = world.connection();
      std::string got;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          co_await sleep_for(2ms);
          co_await a.write_all("precious");
          co_await a.shutdown_send();
        });
        const auto first = co_await move_on_after(cancel_after, b.receive());
        if (first) got += first->text();
        got += co_await receive_all(b);
      });
      CHECK(got == "precious");
    });
  }
}

TEST_CASE("receive: a wait in a cancelled scope asks for nothing and throws") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    cancel_scope scope;
    bool threw = false;
    const auto body = [&]() -> task<> {
      scope.cancel();
      try {
        co_await b.receive();
      } catch (const cancelled&) {
        threw = true;
      }
    };
    co_await scope.run(body);
    CHECK(threw);
    CHECK(world.asked(operation::receive_many) == 0);
  });
}

TEST_CASE("receive: reads of every other kind get first what has arrived meanwhile") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const std::string sent = pattern(9'000);
    co_await a.write_all(std::string_view(sent).substr(0, 10));
    std::string got;
    while (got.empty()) {
      const chunk first = co_await b.receive();
      got += first.text();
    }
    co_await a.write_all(std::string_view(sent).substr(10));
    co_await settle();
    std::array<std::byte, 7> seven;
    const std::size_t some = co_await b.read_some(seven);
    got.append(reinterpret_cast<const char*>(seven.data()), some);
    std::vector<std::byte> many(sent.size() - got.size() - 100);
    co_await b.read_exactly(many);
    got.append(reinterpret_cast<const char*>(many.data()), many.size());
    while (got.size() < sent.size()) {
      const chunk rest = co_await b.receive();
      got += rest.text();
    }
    CHECK(got == sent);
    co_await a.close();
    const std::size_t at_end = co_await b.read_some(seven);
    CHECK(at_end == 0);
    const chunk end = co_await b.receive();
    CHECK(end.empty());
  });
}

TEST_CASE("receive: a read that is cancelled while it waits for its turn loses nothing") {
  kit::in_every_order(fault_plan().delay(2ms), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const auto too_early = co_await move_on_after(1ms, b.receive());
    CHECK_FALSE(too_early.has_value());
    std::array<std::byte, 16> buffer;
    const auto still_too_early = co_await move_on_after(1ms, b.read_some(buffer));
    CHECK_FALSE(still_too_early.has_value());
    co_await a.write_all("here");
    const std::size_t got = co_await b.read_some(buffer);
    CHECK(std::string_view(reinterpret_cast<const char*>(buffer.data()), got) == "here");
  });
}

TEST_CASE("receive: a second reader gets an error, and the first one its bytes") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::string got;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const chunk received = co_await b.receive();
        got = received.text();
      });
      co_await settle();
      std::array<std::byte, 4> buffer;
      const auto read = co_await as_result(b.read_some(buffer));
      CHECK(read.error().value() == EBUSY);
      const auto received = co_await as_result(b.receive());
      CHECK(received.error().value() == EBUSY);
      co_await a.write_all("for the first");
    });
    CHECK(got == "for the first");
  });
}

TEST_CASE("receive: closing ends the wait with EBADF, and drops what nobody has taken") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::error_code error;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const auto received = co_await as_result(b.receive());
        error = received.error();
      });
      co_await settle();
      co_await b.close();
    });
    CHECK(error.value() == EBADF);
    CHECK(b.fd() == -1);
    const auto after = co_await as_result(b.receive());
    CHECK(after.error().value() == EBADF);
  });
}

TEST_CASE("receive: a stream may go while the kernel still fills its buffers") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    co_await a.write_all("nobody wants it");
    {
      auto gone = std::move(b);
      static_cast<void>(co_await move_on_after(2ms, gone.receive()));
      co_await a.write_all("nor this");
    }
    co_await sleep_for(10ms);
    const auto written = co_await as_result(a.write_all("x"));
    CHECK(written.error().value() == EPIPE);
  });
}

TEST_CASE("receive: a reset connection is an error, after what came before it") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    co_await a.write_all("before");
    const chunk received = co_await b.receive();
    CHECK(received.text() == "before");
    world.reset(b);
    const auto after = co_await as_result(b.receive());
    CHECK(after.error().value() == ECONNRESET);
  });
}

TEST_CASE("receive: who hoards chunks gets all bytes, and so do the others") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    auto [c, d] = world.connection();
    const std::string sent = pattern(30'000);
    std::vector<chunk> hoard;
    std::size_t hoarded = 0;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await send_all(a, sent); });
      for (;;) {
        chunk received = co_await b.receive();
        if (received.empty()) break;
        hoarded += received.size();
        hoard.push_back(std::move(received));
        if (hoard.size() % 50 != 1) continue;
        co_await c.write_all("ping");
        std::string answer;
        while (answer.size() < 4) {
          const chunk more = co_await d.receive();
          answer += more.text();
        }
        CHECK(answer == "ping");
      }
    });
    std::string got;
    for (const chunk& received : hoard) got += received.text();
    CHECK(got == sent);
  });
}

TEST_CASE("receive: chunks and streams may outlive the loop") {
  simulation world;
  std::optional<tcp_stream> kept_stream;
  chunk kept;
  run(world.how(), [&]() -> task<> {
    auto [a, b] = world.connection();
    co_await a.write_all("kept");
    kept = co_await b.receive();
    co_await a.write_all("left in the stream");
    co_await sleep_for(1ms);
    kept_stream = std::move(b);
  });
  CHECK(kept.text() == "kept");
}

TEST_CASE("receive: a task that waits for nothing else is a deadlock, although a receive goes on") {
  simulation world;
  const auto waits_in_vain = [&]() -> task<> {
    auto [a, b] = world.connection();
    static_cast<void>(co_await move_on_after(1ms, b.receive()));
    event never_set;
    co_await never_set.wait();
  };
  CHECK_THROWS_AS(run(world.how(), waits_in_vain), deadlock_error);
}

TEST_CASE("receive: what a reader was woken for, nobody else gets before it has gone on") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    std::string first;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const chunk received = co_await b.receive();
        first = received.text();
      });
      co_await settle();
      co_await a.write_all("x");
      std::array<std::byte, 4> buffer;
      for (int tries = 0; tries < 3; ++tries) {
        const auto read = co_await move_on_after(1ms, as_result(b.read_some(buffer)));
        CHECK((!read || read->error().value() == EBUSY));
        const auto received = co_await move_on_after(1ms, as_result(b.receive()));
        CHECK((!received || received->error().value() == EBUSY));
      }
    });
    CHECK(first == "x");
  });
}

TEST_CASE("receive: a stream may be closed, and may go, when its reader was woken and has not gone on") {
  for (const bool closes : {true, false}) {
    kit::in_every_order([closes](simulation& world) -> task<> {
      auto [a, b] = world.connection();
      std::optional<tcp_stream> receiving = std::move(b);
      std::optional<std::string> got;
      int error = 0;
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          auto received = co_await as_result(receiving->receive());
          if (received) {
            got = received->text();
          } else {
            error = received.error().value();
          }
        });
        co_await settle();
        co_await a.write_all("x");
        if (closes) co_await receiving->close();
        receiving.reset();
      });
      const bool in_good_order = got ? *got == "x" : error == EBADF;
      CHECK(in_good_order);
    });
  }
}

TEST_CASE("receive: an error is told once, whichever way it is asked for") {
  kit::in_every_order(fault_plan().fail(operation::receive_many, 1, ECONNRESET), [](simulation& world) -> task<> {
    auto [a, b] = world.connection();
    const auto broken = co_await as_result(b.receive());
    CHECK(broken.error().value() == ECONNRESET);
    co_await a.close();
    auto after = co_await as_result(b.receive());
    REQUIRE(after.has_value());
    CHECK(after->empty());
  });
}
