// L5 services: connects to a host by name, trying its addresses in a staggered race; knows nurseries and tcp_stream.
// SPDX-License-Identifier: MIT
#include <ringlet/event.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/resolve.hpp>
#include <ringlet/tcp_stream.hpp>
#include <ringlet/timeout.hpp>

#include <algorithm>
#include <optional>

namespace ringlet {
namespace {

// What RFC 8305 recommends between two attempts.
constexpr auto head_start = std::chrono::milliseconds(250);

/// The race: who has won, and the first to fail if nobody does.
struct attempts {
  std::optional<tcp_stream> winner;
  std::exception_ptr first_error;
  event failed;
};

task<> attempt(endpoint to, attempts* all, nursery* others) {
  try {
    tcp_stream connected = co_await tcp_stream::connect(to);
    if (!all->winner) all->winner.emplace(std::move(connected));
    others->cancel();
  } catch (const os_error&) {
    if (!all->first_error) all->first_error = std::current_exception();
    all->failed.set();
  }
}

// Families take turns, beginning with that of the first address: a broken one then costs one head start at most.
std::vector<endpoint> interleaved(const std::vector<endpoint>& addresses) {
  std::vector<endpoint> preferred, others, mixed;
  for (const endpoint& address : addresses) {
    (address.family() == addresses.front().family() ? preferred : others).push_back(address);
  }
  for (std::size_t at = 0; at < std::max(preferred.size(), others.size()); ++at) {
    if (at < preferred.size()) mixed.push_back(preferred[at]);
    if (at < others.size()) mixed.push_back(others[at]);
  }
  return mixed;
}

task<> race(nursery& n, const std::vector<endpoint>& addresses, attempts& all) {
  for (const endpoint& address : addresses) {
    all.failed.clear();
    n.spawn(attempt, address, borrowed(&all), borrowed(&n));
    co_await move_on_after(head_start, all.failed.wait());
  }
}

}  // namespace

task<tcp_stream> tcp_stream::connect(std::string host, std::uint16_t port) {
  const std::vector<endpoint> addresses = interleaved(co_await resolve(std::move(host), port));
  attempts all;
  co_await with_nursery([&](nursery& n) { return race(n, addresses, all); });
  if (!all.winner) std::rethrow_exception(all.first_error);
  co_return std::move(*all.winner);
}

}  // namespace ringlet
