// Tests on the kernel: a loop that ends while operations are in flight takes them back before their memory goes.
#include "kernel.hpp"

#include <array>
#include <stdexcept>
#include <thread>

#include <sys/eventfd.h>
#include <unistd.h>

using namespace kernel;

namespace {

struct failure : std::runtime_error {
  failure() : std::runtime_error("the test's own") {}
};

task<> read_for_ever(connection* ends) {
  std::vector<std::byte> buffer(4096);
  co_await ends->server.read_some(buffer);
}

task<> write_for_ever(connection* ends) {
  shrink_buffers(ends->client.fd());
  shrink_buffers(ends->server.fd());
  const std::vector<std::byte> data(2 << 20);
  co_await ends->client.write_all(data);
}

task<> accept_for_ever() {
  tcp_listener listener = tcp_listener::bind(endpoint("localhost", 0));
  for (;;) co_await listener.accept();
}

task<> connect_for_ever() {
  const full_listener nobody_answers;
  co_await tcp_stream::connect(nobody_answers.where());
}

task<> poll_for_ever() {
  const pipe_ends p = plain_pipe();
  co_await readable(p.read.get());
}

task<> read_pipe_for_ever() {
  const pipe_ends p = plain_pipe();
  std::array<std::byte, 1> buffer;
  co_await read_some(p.read.get(), buffer);
}

/// Spawns one of each kind of operation, `times` times, and gives them time to begin.
task<> begin_everything(nursery& n, std::vector<connection>& ends, int times) {
  for (int i = 0; i < times; ++i) ends.push_back(co_await connect_pair());
  for (connection& both : ends) {
    n.spawn(read_for_ever, borrowed(&both));
    n.spawn(write_for_ever, borrowed(&both));
    n.spawn(accept_for_ever);
    n.spawn(connect_for_ever);
    n.spawn(poll_for_ever);
    n.spawn(read_pipe_for_ever);
  }
  co_await sleep_for(10ms);
  CHECK(this_scheduler().stats().in_flight >= static_cast<std::size_t>(5 * times));
}

}  // namespace

TEST_CASE("teardown: an exception of the root task ends everything in flight first") {
  for (const unsigned entries : {2u, 8u, 256u}) {
    INFO(entries << " entries");
    const auto body = []() -> task<> {
      std::vector<connection> ends;
      co_await with_nursery([&](nursery& n) -> task<> {
        co_await begin_everything(n, ends, 10);
        throw failure();
      });
    };
    CHECK_THROWS_AS(run(options().entries(entries), body), failure);
  }
}

TEST_CASE("teardown: an exception of one task ends everything in flight first") {
  const auto body = []() -> task<> {
    std::vector<connection> ends;
    co_await with_nursery([&](nursery& n) -> task<> {
      co_await begin_everything(n, ends, 10);
      n.spawn([]() -> task<> {
        co_await sleep_for(1ms);
        throw failure();
      });
    });
  };
  CHECK_THROWS_AS(run(body), failure);
}

TEST_CASE("teardown: an exception of a posted function ends everything in flight first") {
  const auto body = []() -> task<> {
    std::vector<connection> ends;
    co_await with_nursery([&](nursery& n) -> task<> {
      co_await begin_everything(n, ends, 10);
      this_scheduler().post([] { throw failure(); });
    });
  };
  CHECK_THROWS_AS(run(body), failure);
}

TEST_CASE("teardown: a loop that ends with a deadlock leaves nothing, and the next one works") {
  const auto stuck = []() -> task<> {
    connection ends = co_await connect_pair();
    event never;
    co_await never.wait();
  };
  CHECK_THROWS_AS(run(stuck), deadlock_error);
  in_time([]() -> task<> { co_await connect_pair(); });
}

TEST_CASE("teardown: an operation in flight is no deadlock, for the world may still answer") {
  in_time([]() -> task<> {
    const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
    std::jthread later([&] {
      std::this_thread::sleep_for(50ms);
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(counter.get(), &one, sizeof one);
    });
    co_await readable(counter.get());
  });
}

TEST_CASE("teardown: shielded clean-up may still use the ring") {
  const auto body = []() -> task<> {
    connection ends = co_await connect_pair();
    const auto say_goodbye = [&] { return ends.client.write_all("goodbye"); };
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await finally(sleep_forever(), say_goodbye); });
      co_await sleep_for(1ms);
      n.cancel();
    });
    co_await expect_text(ends.server, "goodbye");
  };
  in_time(body);
}

TEST_CASE("teardown: loops one after the other leave no descriptor and no memory") {
  for (int round = 0; round < 100; ++round) run([]() -> task<> { co_await yield_now(); });
}

TEST_CASE("teardown: a result is returned although operations were in flight") {
  const int answer = run([]() -> task<int> {
    std::vector<connection> ends;
    co_await with_nursery([&](nursery& n) -> task<> {
      co_await begin_everything(n, ends, 2);
      n.cancel();
    });
    co_return 42;
  });
  CHECK(answer == 42);
}

TEST_CASE("teardown: a deadlock is found although the kernel keeps a thread for the ring") {
  const auto stuck = []() -> task<> {
    connection ends = co_await connect_pair();
    co_await ends.client.shutdown_send();
    this_scheduler();  // from here on another thread could know this loop
    event never;
    co_await never.wait();
  };
  CHECK_THROWS_AS(run(stuck), deadlock_error);
}
