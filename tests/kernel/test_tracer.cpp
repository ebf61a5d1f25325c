// Tests on the kernel: what a tracer sees of the ring.
#include "kernel.hpp"

#include <array>
#include <map>
#include <string>

using namespace kernel;

namespace {

using kind = trace_event::kind;

task<> ask_and_answer(int rounds) {
  connection ends = co_await connect_pair();
  co_await with_nursery([&](nursery& n) -> task<> {
    n.spawn([&]() -> task<> {
      while (const chunk question = co_await ends.server.receive()) co_await ends.server.write_all(question.bytes());
    });
    for (int i = 0; i < rounds; ++i) {
      co_await ends.client.write_all("how do you do");
      std::array<std::byte, 13> answer;
      co_await ends.client.read_exactly(answer);
    }
    co_await ends.client.shutdown_send();
  });
}

task<> ask_and_answer_many(int connections) {
  co_await with_nursery([&](nursery& n) -> task<> {
    for (int i = 0; i < connections; ++i) n.spawn(ask_and_answer, 20);
    co_return;
  });
}

}  // namespace

TEST_CASE("tracer: no completion comes before its submission, also when the ring is too small for what is asked") {
  for (const unsigned entries : {8u, 256u}) {
    INFO("a ring of " << entries);
    const tracer t(1'000'000);
    in_time(options().entries(entries), [] { return ask_and_answer_many(100); });
    std::map<std::uintptr_t, int> in_flight;
    std::size_t submitted = 0, early = 0, twice = 0, received = 0;
    for (const trace_event& e : t.events()) {
      if (e.type == kind::submit) {
        ++submitted;
        if (++in_flight[e.operation] != 1) ++twice;
      }
      if (e.type != kind::complete) continue;
      if (in_flight[e.operation] != 1) ++early;
      if (!e.more) in_flight[e.operation] = 0;
      if (e.result == 13 && std::string(e.what) == "receive fd") ++received;
    }
    CHECK(t.dropped() == 0);
    CHECK(early == 0);
    CHECK(twice == 0);
    CHECK(submitted >= 100 * 20 * 2);
    if (!plain_path()) CHECK(received >= 100 * 20);
  }
}

TEST_CASE("tracer: can be begun and ended at any time, and what is in flight meanwhile goes on") {
  in_time([]() -> task<> {
    co_await with_nursery([](nursery& n) -> task<> {
      auto work = n.spawn(ask_and_answer_many, 30);
      int tracers = 0;
      while (!work.done()) {
        const tracer t(1000);
        co_await sleep_for(1ms);
        ++tracers;
      }
      CHECK(tracers > 0);
      co_return;
    });
  });
}
