// L5 services: process_pool, which hands calls to workers and has those replaced that end; knows their fork server.
// SPDX-License-Identifier: MIT
#include <ringlet/process_pool.hpp>

#include <ringlet/cancel.hpp>
#include <ringlet/mutex.hpp>
#include <ringlet/semaphore.hpp>
#include <ringlet/unix_stream.hpp>

#include "fork_server.hpp"
#include "threads.hpp"

#include <cerrno>
#include <optional>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace ringlet {

worker_died::worker_died(process::status how)
    : std::runtime_error(fmt::format("a worker of a process_pool has ended in a call: {}", how.to_string())),
      status_(how) {}

namespace detail {
namespace {

using bytes = std::vector<std::byte>;

process::status status_of(int waited) noexcept {
  return WIFSIGNALED(waited) ? process::status::of_signal(WTERMSIG(waited))
                             : process::status::of_exit(WEXITSTATUS(waited));
}

bool says_that_peer_has_gone(const os_error& e) noexcept {
  return e.code() == std::errc::broken_pipe || e.code() == std::errc::connection_reset;
}

template <class T>
std::span<std::byte> room_of(T& value) noexcept {
  return std::as_writable_bytes(std::span(&value, 1));
}

struct answer {
  answer_meaning meaning;
  bytes content;
};

/// Sends a call and waits for the answer; none when the worker has gone. errors: os_error for anything else.
task<std::optional<answer>> send_and_receive(unix_stream& with, const bytes& call) {
  try {
    co_await with.write_all(std::span(call));
    message_head head{};
    co_await with.read_exactly(room_of(head));
    bytes content(head.size);
    co_await with.read_exactly(std::span(content));
    co_return answer{static_cast<answer_meaning>(head.meaning), std::move(content)};
  } catch (const end_of_stream&) {
  } catch (const os_error& e) {
    if (!says_that_peer_has_gone(e)) throw;
  }
  co_return std::nullopt;
}

}  // namespace

/// The pool in the process that made it.
class process_pool_state {
 public:
  explicit process_pool_state(std::size_t workers);
  process_pool_state(const process_pool_state&) = delete;
  process_pool_state& operator=(const process_pool_state&) = delete;
  ~process_pool_state();

  std::size_t workers() const noexcept { return workers_.size(); }
  task<bytes> call(bytes message);
  void shutdown() noexcept;

 private:
  using request = fork_request::kind;

  struct worker {
    std::uint32_t number;
    std::optional<unix_stream> stream;  // empty: there is none yet, or no more

    bool fit() const noexcept;
  };

  class turn;

  void expect_usable() const;
  task<> make_fit(worker& w);
  task<process::status> end(worker& w);
  task<fork_reply> ask(request what, const worker& w, int socket);
  task<fork_reply> ask_in_turn(fork_request asked, int socket);

  int maker_ = ::getpid();              // the process that has made the pool, and may use it
  int server_ = 0;                      // the fork server's number
  std::optional<unix_stream> control_;  // empty: shut down
  mutex control_free_;                  // held from the request to the reply
  std::vector<worker> workers_;
  std::vector<worker*> free_;  // the last one to become free is the next: its memory may still be in a cache
  semaphore permits_;          // as many as there are in free_, those that were handed over included
  std::size_t calls_ = 0;      // that have not ended, waiting ones included
};

/// A call's worker, once it has one, until it ends.
class process_pool_state::turn {
 public:
  explicit turn(process_pool_state& pool) noexcept : pool_(pool) { ++pool_.calls_; }
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn() {
    --pool_.calls_;
    if (worker_ == nullptr) return;
    pool_.free_.push_back(worker_);
    pool_.permits_.release();
  }

  /// Only with a permit.
  worker& take_worker() noexcept {
    worker_ = pool_.free_.back();
    pool_.free_.pop_back();
    return *worker_;
  }

 private:
  process_pool_state& pool_;
  worker* worker_ = nullptr;  // null: it waits for one
};

// Why the server comes last: what fails before leaves no process behind.
process_pool_state::process_pool_state(std::size_t workers) : permits_(workers) {
  for (std::size_t i = 0; i < workers; ++i) workers_.push_back({static_cast<std::uint32_t>(i), {}});
  for (worker& each : workers_) free_.push_back(&each);
  fork_server server = start_fork_server(workers);
  server_ = server.pid;
  control_.emplace(std::move(server.control));
}

process_pool_state::~process_pool_state() {
  shutdown();
}

// Why not in another process: the pool is the maker's, and what is left of it here must not disturb that.
void process_pool_state::shutdown() noexcept {
  if (!control_ || ::getpid() != maker_) return;
  RINGLET_CHECK(calls_ == 0, "a process_pool was shut down while {} tasks were in run()", calls_);
  for (worker& each : workers_) each.stream.reset();
  ::shutdown(control_->fd(), SHUT_RDWR);
  control_.reset();
  while (::waitpid(server_, nullptr, 0) < 0 && errno == EINTR) continue;
}

void process_pool_state::expect_usable() const {
  if (::getpid() != maker_) throw std::logic_error("process_pool: only the process that has made a pool can use it");
  if (!control_) throw std::logic_error("process_pool: run() after shutdown()");
}

// Why a worker whose call has not come to its end is killed, whatever the reason: nothing else stops a function, and
// its connection is out of step.
task<bytes> process_pool_state::call(bytes message) {
  expect_usable();
  turn mine(*this);
  co_await permits_.acquire();
  worker& w = mine.take_worker();
  if (!w.fit()) co_await shield(make_fit(w));
  co_await checkpoint();
  outcome<std::optional<answer>> result;
  {
    auto work = send_and_receive(*w.stream, message);
    result = co_await as_outcome(std::move(work));
  }
  if (!result.has_value() || !result.value()) {
    const process::status how = co_await shield(end(w));
    result.take();  // a cancel request, or what else has gone wrong on this side
    throw worker_died(how);
  }
  answer came = *result.take();
  if (came.meaning == answer_meaning::result) co_return std::move(came.content);
  message_reader text(came.content);
  throw remote_error(get<std::string>(text));
}

// One that has ended while it had nothing to do is seen here, before it gets a call that it would lose.
bool process_pool_state::worker::fit() const noexcept {
  if (!stream) return false;
  std::byte unexpected;
  return ::recv(stream->fd(), &unexpected, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

task<> process_pool_state::make_fit(worker& w) {
  w.stream.reset();
  auto [ours, its] = open_worker_pair();
  const int error = co_await ask(request::start, w, its.get());
  if (error != 0) throw os_error("fork", "a worker", error);
  w.stream.emplace(std::move(ours));
}

task<process::status> process_pool_state::end(worker& w) {
  w.stream.reset();
  const fork_reply waited = co_await ask(request::end, w, -1);
  co_return status_of(waited);
}

// Why the server has to go after a failure: request and reply are out of step. It takes its workers with it.
task<fork_reply> process_pool_state::ask(request what, const worker& w, int socket) {
  const mutex::guard mine = co_await control_free_.lock();
  auto work = ask_in_turn(fork_request{what, w.number}, socket);
  auto reply = co_await as_outcome(std::move(work));
  if (!reply.has_value()) {
    ::shutdown(control_->fd(), SHUT_RDWR);
    throw os_error("process_pool", "its fork server has ended", EPIPE);
  }
  co_return reply.take();
}

task<fork_reply> process_pool_state::ask_in_turn(fork_request asked, int socket) {
  co_await control_->write_all(room_of(asked));
  if (socket >= 0) co_await control_->send_fd(socket);
  fork_reply reply = 0;
  co_await control_->read_exactly(room_of(reply));
  co_return reply;
}

task<bytes> call_worker(process_pool_state& pool, bytes call) {
  return pool.call(std::move(call));
}

}  // namespace detail

process_pool::process_pool(std::size_t workers)
    : state_(new detail::process_pool_state(workers == 0 ? detail::processors() : workers)) {}

process_pool::~process_pool() {
  delete state_;
}
void process_pool::shutdown() noexcept {
  state_->shutdown();
}
std::size_t process_pool::workers() const noexcept {
  return state_->workers();
}

}  // namespace ringlet
