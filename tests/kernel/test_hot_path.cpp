// Tests on the kernel: what a request of an echo server costs: no allocation, and at most one system call a turn.
#include "kernel.hpp"

#include <array>
#include <cstdlib>
#include <new>

using namespace kernel;

namespace {

thread_local std::uint64_t allocations = 0;

void* counted_allocation(std::size_t size, std::size_t alignment) {
  ++allocations;
  void* memory = alignment == 0 ? std::malloc(size)
                                : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) {
  return counted_allocation(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted_allocation(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace {

constexpr int connections = 20;
constexpr int requests = 200;

task<> echo_received(tcp_stream* s) {
  for (;;) {
    const chunk received = co_await s->receive();
    if (received.empty()) co_return;
    co_await s->write_all(received);
  }
}

task<> echo_read(tcp_stream* s) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const std::size_t got = co_await s->read_some(buffer);
    if (got == 0) co_return;
    co_await s->write_all(std::span(buffer).first(got));
  }
}

/// So many requests, one after the other.
task<> ask(tcp_stream* s, std::size_t size, int times) {
  const std::vector<std::byte> request(size, std::byte{'r'});
  std::vector<std::byte> reply(size);
  for (int count = 0; count < times; ++count) {
    co_await s->write_all(request);
    co_await s->read_exactly(reply);
  }
}

struct cost {
  std::uint64_t allocations;
  std::uint64_t enters;
  std::uint64_t turns;
};

cost spent_so_far() {
  const statistics now = this_scheduler().stats();
  return {allocations, now.enters, now.turns};
}

/// All connections ask at the same time. The tasks themselves are made before and ended after what is counted.
task<> ask_all(std::vector<connection>& all, std::size_t size, cost* spent) {
  event begin, end;
  int ready = 0, done = 0;
  co_await with_nursery([&](nursery& n) -> task<> {
    for (connection& c : all) {
      n.spawn(
          [&](tcp_stream* client) -> task<> {
            co_await ask(client, size, 20);  // until every buffer and list has its size
            if (++ready == connections) begin.set();
            co_await begin.wait();
            if (done == 0 && spent->turns == 0) *spent = spent_so_far();
            co_await ask(client, size, requests);
            if (++done < connections) co_return;
            const cost now = spent_so_far();
            *spent = {now.allocations - spent->allocations, now.enters - spent->enters, now.turns - spent->turns};
          },
          borrowed(&c.client));
    }
    co_return;
  });
}

/// server: (tcp_stream*) -> task<>
template <class Server>
void check_cost(Server server, std::size_t size) {
  INFO(size << " bytes");
  const options roomy = options().entries(256);
  in_time(roomy, [&]() -> task<> {
    std::vector<connection> all;
    for (int i = 0; i < connections; ++i) all.push_back(co_await connect_pair());
    cost spent{};
    co_await with_nursery([&](nursery& n) -> task<> {
      for (connection& c : all) n.spawn(server, borrowed(&c.server));
      co_await ask_all(all, size, &spent);
      n.cancel();
    });
    constexpr std::uint64_t of_the_requests_own = 2 * connections;  // each client makes its two buffers anew
    // Why not there: it takes large buffers, and keeps only a few that are not in use.
    if (!plain_path()) CHECK(spent.allocations <= of_the_requests_own);
    CHECK(spent.turns > 0);
    CHECK(spent.enters <= spent.turns + 1);
  });
}

}  // namespace

TEST_CASE("hot path: an echo by receive() allocates nothing, and a turn makes at most one system call") {
  for (const std::size_t size : {64, 4096, 100'000}) check_cost(echo_received, size);
}

TEST_CASE("hot path: an echo by read_some() allocates nothing, and a turn makes at most one system call") {
  for (const std::size_t size : {64, 4096}) check_cost(echo_read, size);
}

TEST_CASE("hot path: an item that goes through a channel allocates nothing") {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{100}, unbounded}) {
    INFO("capacity " << capacity);
    std::uint64_t spent = 0;
    in_time([&]() -> task<> {
      channel<int> items(capacity);
      co_await with_nursery([&](nursery& n) -> task<> {
        n.spawn([&]() -> task<> {
          for (int i = 0; i < 2'000; ++i) co_await items.send(i);
          items.close();
        });
        for (int i = 0; i < 1'000; ++i) co_await items.receive();  // until it has its size
        const std::uint64_t before = allocations;
        while (co_await items.receive()) continue;
        spent = allocations - before;
      });
    });
    CHECK(spent == 0);
  }
}

TEST_CASE("hot path: allocations are counted") {
  const std::uint64_t before = allocations;
  const std::vector<int> some(100);
  CHECK(allocations > before);
  CHECK(some.size() == 100);
}
