// Tests of incoming(): a listener's connections one after the other, with one request for all of them.
#include "kit/sim.hpp"

#include <ringlet/ringlet.hpp>

#include <cerrno>
#include <vector>

using namespace ringlet;
using namespace std::chrono_literals;

TEST_CASE("incoming: gives every connection, in order, until the listener is closed") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto listener = world.listener();
    std::vector<tcp_stream> clients;
    std::vector<std::string> greetings;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        auto connections = listener.incoming();
        while (auto client = co_await connections.next()) {
          const chunk greeting = co_await client->receive();
          greetings.emplace_back(greeting.text().substr(0, 1));
        }
      });
      for (int i = 0; i < 5; ++i) {
        clients.push_back(world.connect_to(listener));
        co_await clients.back().write_all(std::to_string(i));
        if (i % 2 == 0) co_await sleep_for(10ms);
      }
      while (greetings.size() < 5) co_await sleep_for(1ms);
      co_await listener.close();
    });
    CHECK(greetings == std::vector<std::string>{"0", "1", "2", "3", "4"});
  });
}

TEST_CASE("incoming: what nobody takes waits, and more than a lot waits in the kernel") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto listener = world.listener();
    std::vector<tcp_stream> clients;
    auto connections = listener.incoming();
    const auto too_early = co_await move_on_after(1ms, connections.next());
    CHECK_FALSE(too_early.has_value());
    for (int i = 0; i < 200; ++i) {
      clients.push_back(world.connect_to(listener));
      co_await settle();
    }
    std::vector<tcp_stream> accepted;
    for (int i = 0; i < 200; ++i) {
      auto next = co_await connections.next();
      REQUIRE(next.has_value());
      accepted.push_back(std::move(*next));
    }
    for (std::size_t i = 0; i < 200; ++i) {
      co_await clients[i].write_all(std::to_string(i));
      const chunk number = co_await accepted[i].receive();
      CHECK(number.text() == std::to_string(i));
    }
  });
}

TEST_CASE("incoming: accept() goes on where it stopped, and the other way round") {
  kit::despite_faults([](simulation& world) -> task<> {
    auto listener = world.listener();
    auto first_client = world.connect_to(listener);
    std::optional<tcp_stream> first;
    {
      auto connections = listener.incoming();
      first = co_await connections.next();
    }
    REQUIRE(first.has_value());
    auto second_client = world.connect_to(listener);
    auto second = co_await listener.accept();
    auto third_client = world.connect_to(listener);
    auto again = listener.incoming();
    auto third = co_await again.next();
    REQUIRE(third.has_value());
    co_await third_client.write_all("3");
    const chunk received = co_await third->receive();
    CHECK(received.text() == "3");
  });
}

TEST_CASE("incoming: a cancelled wait loses no connection") {
  kit::in_every_order(fault_plan().delay(3ms), [](simulation& world) -> task<> {
    auto listener = world.listener();
    auto connections = listener.incoming();
    auto client = world.connect_to(listener);
    for (int tries = 0; tries < 2; ++tries) {
      const auto too_early = co_await move_on_after(1ms, connections.next());
      CHECK_FALSE(too_early.has_value());
    }
    const auto accepted = co_await connections.next();
    CHECK(accepted.has_value());
  });
}

TEST_CASE("incoming: too many open files is an error, and the next wait tries again") {
  kit::in_every_order(fault_plan().fail(operation::accept_many, 1, EMFILE), [](simulation& world) -> task<> {
    auto listener = world.listener();
    auto connections = listener.incoming();
    auto client = world.connect_to(listener);
    int error = 0;
    try {
      static_cast<void>(co_await connections.next());
    } catch (const os_error& e) {
      error = e.code().value();
    }
    CHECK(error == EMFILE);
    const auto accepted = co_await connections.next();
    CHECK(accepted.has_value());
  });
}

TEST_CASE("incoming: an error is told once, also as a result") {
  kit::in_every_order(fault_plan().fail(operation::accept_many, 1, EMFILE), [](simulation& world) -> task<> {
    auto listener = world.listener();
    auto connections = listener.incoming();
    auto client = world.connect_to(listener);
    const auto refused = co_await as_result(connections.next());
    CHECK(refused.error().value() == EMFILE);
    auto accepted = co_await as_result(connections.next());
    REQUIRE(accepted.has_value());
    CHECK(accepted->has_value());
  });
}

TEST_CASE("incoming: a connection that a task was woken for is its own, or is closed with the listener") {
  kit::in_every_order([](simulation& world) -> task<> {
    auto listener = world.listener();
    auto connections = listener.incoming();
    std::optional<tcp_stream> mine;
    std::optional<tcp_stream> client;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { mine = co_await connections.next(); });
      co_await settle();
      client = world.connect_to(listener);
      co_await yield_now();
      auto others = listener.incoming();
      const auto stolen = co_await move_on_after(0ms, as_result(others.next()));
      CHECK((!stolen || stolen->error().value() == EBUSY));
      co_await listener.close();
    });
    if (mine) co_return;
    const chunk end = co_await client->receive();
    CHECK(end.empty());
  });
}
