// Tests of serve.hpp: who is admitted and who refused, what ends a session and what the server, and how it drains.
#include "kit/counted.hpp"
#include "kit/random.hpp"

#include <ringlet/ringlet.hpp>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

namespace {

/// What a client reads until the end of its stream, or the error that it gets.
task<std::string> heard_by(tcp_stream& client) {
  std::string all;
  char buffer[64];
  for (int reads = 0; reads < 100'000; ++reads) {
    const result<std::size_t> got = co_await as_result(client.read_some(std::as_writable_bytes(std::span(buffer))));
    if (!got) co_return all + "<" + got.error().message() + ">";
    if (*got == 0) co_return all;
    all.append(buffer, *got);
  }
  co_return all + "<no end>";
}

task<> expect_heard(tcp_stream& client, std::string expected) {
  const std::string heard = co_await heard_by(client);
  CHECK(heard == expected);
}

/// A session that answers each line with itself.
task<> echo_lines(tcp_stream client) {
  line_reader lines(client);
  for (;;) {
    const std::optional<std::string_view> line = co_await lines.next();
    if (!line) co_return;
    co_await client.write_all(std::string(*line) + "\n");
  }
}

/// A server, which serves while the body runs, and is then cancelled. body: () -> task<>.
template <class Handler, class Body>
task<> while_serving(tcp_listener listener, Handler handler, serve_options how, Body body) {
  co_await with_nursery([&](nursery& n) -> task<> {
    n.spawn([&]() -> task<> { co_await serve(std::move(listener), handler, how); });
    auto work = body();
    co_await std::move(work);
    n.cancel();
  });
}

time_point now() {
  return this_scheduler().now();
}

}  // namespace

TEST_CASE("serve: every connection gets a session of its own, despite faults") {
  kit::despite_faults([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(world.connect_to(listener));
    co_await while_serving(std::move(listener), echo_lines, {}, [&]() -> task<> {
      for (std::size_t i = 0; i < clients.size(); ++i)
        co_await clients[i].write_all("line " + std::to_string(i) + "\n");
      for (tcp_stream& client : clients) co_await client.shutdown_send();
      for (std::size_t i = 0; i < clients.size(); ++i)
        co_await expect_heard(clients[i], "line " + std::to_string(i) + "\n");
    });
  });
}

TEST_CASE("serve: several listeners are served by one server, whose limit counts them together") {
  kit::in_every_order([](simulation& world) -> task<> {
    std::vector<tcp_listener> listeners;
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 3; ++i) {
      listeners.push_back(world.listener());
      clients.push_back(world.connect_to(listeners.back()));
    }
    serve_options limits;
    limits.max_connections(2).busy_reply("busy\n");
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await serve(std::move(listeners), echo_lines, limits); });
      co_await settle();
      int busy = 0, served = 0;
      for (tcp_stream& client : clients) {
        static_cast<void>(co_await as_result(client.write_all("hi\n")));
        co_await client.shutdown_send();
        const std::string heard = co_await heard_by(client);
        busy += heard == "busy\n";
        served += heard == "hi\n";
      }
      CHECK(busy == 1);
      CHECK(served == 2);
      n.cancel();
    });
  });
}

TEST_CASE("serve: at the limit connections are served, over it they are told so and closed, and then served again") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    const int number = listener.fd();
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(world.connect_to(listener));
    serve_options limits;
    limits.max_connections(3).busy_reply("busy\n");
    co_await while_serving(std::move(listener), echo_lines, limits, [&]() -> task<> {
      co_await settle();
      for (int i = 0; i < 2; ++i) {
        tcp_stream refused = world.connect_to(number);
        co_await refused.write_all("what the client has sent is read, or the reply would be lost\n");
        co_await refused.shutdown_send();
        co_await expect_heard(refused, "busy\n");
      }
      co_await clients[1].write_all("hi\n");
      co_await clients[1].shutdown_send();
      co_await expect_heard(clients[1], "hi\n");
      tcp_stream late = world.connect_to(number);
      co_await late.write_all("now?\n");
      co_await late.shutdown_send();
      co_await expect_heard(late, "now?\n");
    });
  });
}

TEST_CASE("serve: without a reply for them, connections over the limit are closed at once") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    const int number = listener.fd();
    tcp_stream first = world.connect_to(listener);
    co_await while_serving(std::move(listener), echo_lines, serve_options().max_connections(1), [&]() -> task<> {
      co_await settle();
      tcp_stream refused = world.connect_to(number);
      co_await expect_heard(refused, "");
    });
  });
}

TEST_CASE("serve: a refused client that neither reads nor goes is left after a second") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    const int number = listener.fd();
    tcp_stream first = world.connect_to(listener);
    serve_options limits;
    limits.max_connections(1).busy_reply("a reply that is longer than there is room for\n");
    co_await while_serving(std::move(listener), echo_lines, limits, [&]() -> task<> {
      co_await settle();
      tcp_stream stubborn = world.connect_to(number, 8);
      const time_point start = now();
      co_await sleep_for(2s);
      co_await expect_heard(stubborn, "a reply ");
      CHECK(now() - start == 2s);
    });
  });
}

TEST_CASE("serve: however many are refused at once, each gets the reply") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream first = world.connect_to(listener);
    std::vector<tcp_stream> crowd;
    for (int i = 0; i < 100; ++i) crowd.push_back(world.connect_to(listener));
    serve_options limits;
    limits.max_connections(1).busy_reply("busy\n");
    co_await while_serving(std::move(listener), echo_lines, limits, [&]() -> task<> {
      for (tcp_stream& client : crowd) {
        co_await client.shutdown_send();
        co_await expect_heard(client, "busy\n");
      }
    });
  });
}

TEST_CASE("serve: out of descriptors it waits 100 ms, loses no connection, and warns at most once a second") {
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOBUFS}) {
    fault_plan faults;
    for (unsigned nth = 2; nth < 27; ++nth) faults.fail(operation::accept, nth, error);
    kit::in_every_order(faults, [&](simulation& world) -> task<> {
      std::vector<std::string> warnings;
      std::vector<duration> times;
      serve_options how;
      const time_point start = now();
      how.on_warning([&](std::string_view text) {
        warnings.emplace_back(text);
        times.push_back(now() - start);
      });
      tcp_listener listener = world.listener();
      tcp_stream served = world.connect_to(listener);
      tcp_stream waits = world.connect_to(listener);
      co_await while_serving(std::move(listener), echo_lines, how, [&]() -> task<> {
        co_await waits.write_all("patience\n");
        co_await waits.shutdown_send();
        co_await expect_heard(waits, "patience\n");
        CHECK(now() - start >= 2500ms);
        CHECK(now() - start < 2600ms);
      });
      REQUIRE(warnings.size() == 3);
      CHECK_THAT(warnings[0], kit::contains("cannot accept connections with 1 open"));
      CHECK(times[0] < 1ms);
      CHECK(times[1] - times[0] >= 1s);
      CHECK(times[2] - times[1] >= 1s);
    });
  }
}

TEST_CASE("serve: sessions go on while connections cannot be accepted") {
  fault_plan faults;
  for (unsigned nth = 2; nth < 100; ++nth) faults.fail(operation::accept, nth, EMFILE);
  kit::in_every_order(faults, [](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    co_await while_serving(std::move(listener), echo_lines, {}, [&]() -> task<> {
      co_await sleep_for(150ms);
      co_await client.write_all("still here\n");
      char answer[11];
      co_await with_timeout(1ms, client.read_exactly(std::as_writable_bytes(std::span(answer))));
      CHECK(std::string(answer, sizeof answer) == "still here\n");
    });
  });
}

TEST_CASE("serve: connections that break before they are accepted are passed over") {
  fault_plan faults;
  unsigned nth = 0;
  for (const int error : {ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
                          ENETUNREACH, EINTR, EAGAIN}) {
    faults.fail(operation::accept, ++nth, error);
  }
  kit::in_every_order(faults, [](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    co_await while_serving(std::move(listener), echo_lines, {}, [&]() -> task<> {
      co_await client.shutdown_send();
      co_await expect_heard(client, "");
    });
  });
}

TEST_CASE("serve: an error of the listener itself ends the server with it, and sessions are drained first") {
  for (const int error : {EINVAL, EBADF, ENOTSOCK, EOPNOTSUPP}) {
    kit::in_every_order(fault_plan().fail(operation::accept, 2, error), [&](simulation& world) -> task<> {
      tcp_listener listener = world.listener();
      tcp_stream client = world.connect_to(listener);
      co_await client.write_all("before\n");
      std::string what;
      try {
        co_await serve(std::move(listener), echo_lines);
      } catch (const os_error& e) {
        what = e.what();
        CHECK(e.code().value() == error);
      }
      CHECK_THAT(what, kit::contains("accept"));
      co_await expect_heard(client, "before\n");
    });
  }
}

TEST_CASE("serve: cancelled it stops listening at once, and lets sessions finish what has arrived") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    const time_point start = now();
    co_await while_serving(std::move(listener), echo_lines, {}, [&]() -> task<> {
      co_await client.write_all("one\ntwo\nhalf a l");
      co_await settle();
    });
    co_await expect_heard(client, "one\ntwo\nhalf a l\n");
    CHECK(now() - start < 1s);
  });
}

TEST_CASE("serve: connections that were not accepted are closed when it is cancelled, and no session begins") {
  kit::in_every_order(fault_plan().fail(operation::accept, 1, EMFILE), [](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    int sessions = 0;
    const auto count = [&](tcp_stream) -> task<> {
      ++sessions;
      co_return;
    };
    co_await while_serving(std::move(listener), count, {}, [&]() -> task<> { co_await settle(); });
    CHECK(sessions == 0);
    co_await expect_heard(client, "");
  });
}

TEST_CASE("serve: sessions that take longer than the time for draining are cancelled") {
  for (const duration limit : {duration(0), duration(3s), duration(5s)}) {
    kit::in_every_order([&](simulation& world) -> task<> {
      tcp_listener listener = world.listener();
      tcp_stream quick = world.connect_to(listener), slow = world.connect_to(listener);
      int finished = 0, cancelled_sessions = 0;
      int number = 0;
      const auto session = [&](tcp_stream) -> task<> {
        const bool is_quick = number++ == 0;
        try {
          co_await sleep_for(is_quick ? 2s : 1h);
          ++finished;
        } catch (const cancelled&) {
          ++cancelled_sessions;
          throw;
        }
      };
      const time_point start = now();
      co_await while_serving(std::move(listener), session, serve_options().drain(limit),
                             [&]() -> task<> { co_await settle(); });
      CHECK(now() - start - duration(1) == limit);
      CHECK(finished == (limit > 2s ? 1 : 0));
      CHECK(finished + cancelled_sessions == 2);
    });
  }
}

TEST_CASE("serve: draining ends as soon as the last session has ended") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    const auto session = [](tcp_stream) -> task<> { co_await sleep_for(2s); };
    const time_point start = now();
    co_await while_serving(std::move(listener), session, {}, [&]() -> task<> { co_await settle(); });
    CHECK(now() - start == 2s);
  });
}

TEST_CASE("serve: on_drain is called once, before any session reads the end of its stream") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(world.connect_to(listener));
    int drained = 0, ends_before = 0, ends = 0;
    serve_options how;
    how.on_drain([&] { ++drained; });
    const auto session = [&](tcp_stream client) -> task<> {
      co_await heard_by(client);
      ++ends;
      ends_before += drained == 0;
    };
    co_await while_serving(std::move(listener), session, how, [&]() -> task<> { co_await settle(); });
    CHECK(drained == 1);
    CHECK(ends == 5);
    CHECK(ends_before == 0);
  });
}

TEST_CASE("serve: without a connection, or before it has begun, it ends at once when cancelled") {
  kit::in_every_order([](simulation& world) -> task<> {
    const time_point start = now();
    co_await while_serving(world.listener(), echo_lines, {}, []() -> task<> { co_await settle(); });
    co_await while_serving(world.listener(), echo_lines, {}, []() -> task<> { co_return; });
    const bool finished = co_await move_on_after(1s, serve(world.listener(), echo_lines));
    CHECK_FALSE(finished);
    CHECK(now() - start < 1001ms);
  });
}

TEST_CASE("serve: a session that ends as connections do ends alone") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    const int number = listener.fd();
    int at = 0;
    const auto session = [&](tcp_stream client) -> task<> {
      switch (at++) {
        case 0: throw os_error("receive", "fd 1", ECONNRESET);
        case 1: throw os_error("send", "fd 1", EPIPE);
        case 2: throw os_error("receive", "fd 1", ETIMEDOUT);
        case 3: throw timed_out();
        case 4: throw end_of_stream(1, 2);
        case 5: throw line_too_long(64);
        default: co_await client.write_all("served");
      }
    };
    int reported = 0;
    serve_options how;
    how.on_error([&](std::exception_ptr) { ++reported; });
    co_await while_serving(std::move(listener), session, how, [&]() -> task<> {
      for (int i = 0; i < 6; ++i) {
        tcp_stream client = world.connect_to(number);
        co_await expect_heard(client, "");
      }
      tcp_stream last = world.connect_to(number);
      co_await expect_heard(last, "served");
    });
    CHECK(reported == 0);
  });
}

TEST_CASE("serve: a reset by the client ends its session alone, and quietly") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream broken = world.connect_to(listener), whole = world.connect_to(listener);
    co_await while_serving(std::move(listener), echo_lines, {}, [&]() -> task<> {
      co_await settle();
      co_await broken.write_all("x\n");
      broken.reset_on_close();
      co_await broken.close();
      co_await whole.write_all("y\n");
      co_await whole.shutdown_send();
      co_await expect_heard(whole, "y\n");
    });
  });
}

TEST_CASE("serve: any other error of a session goes to on_error, and the server goes on") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    const int number = listener.fd();
    std::vector<std::string> errors;
    serve_options how;
    how.on_error([&](std::exception_ptr error) {
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& e) {
        errors.emplace_back(e.what());
      }
    });
    int at = 0;
    const auto session = [&](tcp_stream client) -> task<> {
      if (at++ == 0) throw std::runtime_error("a mistake");
      co_await client.write_all("served");
    };
    co_await while_serving(std::move(listener), session, how, [&]() -> task<> {
      for (const char* expected : {"", "served"}) {
        tcp_stream client = world.connect_to(number);
        co_await expect_heard(client, expected);
      }
    });
    CHECK(errors == std::vector<std::string>{"a mistake"});
  });
}

TEST_CASE("serve: without on_error the error of a session ends the server with it") {
  kit::in_every_order([](simulation& world) -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream innocent = world.connect_to(listener), guilty = world.connect_to(listener);
    int at = 0;
    const auto session = [&](tcp_stream client) -> task<> {
      if (at++ == 0) {
        co_await heard_by(client);
      } else {
        throw std::runtime_error("a mistake");
      }
    };
    std::string what;
    try {
      co_await with_timeout(1h, serve(std::move(listener), session));
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    CHECK(what == "a mistake");
    co_await expect_heard(innocent, "");
  });
}

TEST_CASE("serve: the handler is copied or moved in, called for each connection, and destroyed at the end") {
  simulation world;
  kit::tally t;
  run(world.how(), [&]() -> task<> {
    tcp_listener listener = world.listener();
    tcp_stream client = world.connect_to(listener);
    {
      const auto handler = [held = kit::balanced(t)](tcp_stream connection) -> task<> {
        co_await connection.write_all(held.text().substr(0, 6));
      };
      co_await while_serving(std::move(listener), handler, {},
                             [&]() -> task<> { co_await expect_heard(client, "a text"); });
    }
    CHECK(t.alive == 0);
  });
}

TEST_CASE("serve: clients that come, talk, reset and go at random leave nothing behind") {
  kit::in_random_worlds(60, [](simulation& world, kit::random& draw) -> task<> {
    tcp_listener listener = world.listener();
    const int number = listener.fd();
    int begun = 0, ended = 0;
    const auto session = [&](tcp_stream client) -> task<> {
      ++begun;
      const auto count = [&]() -> task<> {
        ++ended;
        co_return;
      };
      co_await finally(echo_lines(std::move(client)), count);
    };
    serve_options limits;
    limits.max_connections(5).busy_reply("busy\n").drain(100ms);
    co_await while_serving(std::move(listener), session, limits, [&]() -> task<> {
      co_await with_nursery([&](nursery& n) -> task<> {
        for (int i = 0; i < 40; ++i) {
          n.spawn(
              [&](std::uint64_t what, std::uint64_t when) -> task<> {
                co_await sleep_for(std::chrono::microseconds(when));
                tcp_stream client = world.connect_to(number);
                if (what == 0) co_return;
                static_cast<void>(co_await as_result(client.write_all("a line\n")));
                if (what == 1) world.reset(client);
                if (what == 2) co_await sleep_for(1ms);
                if (what <= 2) co_return;
                static_cast<void>(co_await as_result(client.shutdown_send()));
                const std::string heard = co_await heard_by(client);
                CHECK((heard == "a line\n" || heard == "busy\n"));
              },
              draw.below(6), draw.below(3000));
        }
        co_return;
      });
    });
    CHECK(begun > 0);
    CHECK(begun == ended);
  });
}
