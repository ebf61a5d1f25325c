// Example: the ancestor of ringlet, a server on one screen. A task is a generator that yields why it waits: to receive,
// to send, or for a future. The loop asks the kernel whose wait is over, and lets that task go on: beazley [PORT]
#include <ringlet/generator.hpp>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum class why { recv, send, future };
struct future;
struct wait_reason {
  wait_reason(why reason, int descriptor) : kind(reason), fd(descriptor) {}
  wait_reason(why reason, future& awaited) : kind(reason), result(&awaited) {}
  why kind;
  int fd = -1;
  future* result = nullptr;
};
using task = ringlet::generator<wait_reason>;

std::deque<task> tasks;               // can go on
std::map<int, task> recv_wait;        // wait until there is something to receive
std::map<int, task> send_wait;        // wait until there is room to send
std::map<future*, task> future_wait;  // wait until the future has its value
int future_pair[2];                   // sockets: a future that is done goes in at [0], and comes out at [1]

template <class Key>
void wake(std::map<Key, task>& waiting, Key key) {
  tasks.push_back(std::move(waiting.extract(key).mapped()));
}

void wait_for_events() {
  std::vector<pollfd> polled;
  for (const auto& [fd, waiting] : recv_wait) polled.push_back({fd, POLLIN, 0});
  for (const auto& [fd, waiting] : send_wait) polled.push_back({fd, POLLOUT, 0});
  ::poll(polled.data(), polled.size(), -1);  // interrupted: nobody is ready, and the loop comes back here
  for (const pollfd& p : polled) {
    if (p.revents != 0) wake(p.events == POLLIN ? recv_wait : send_wait, p.fd);
  }
}

void run() {
  for (;;) {
    while (tasks.empty()) wait_for_events();
    task current = std::move(tasks.front());
    tasks.pop_front();
    const auto wait = current.next();
    if (!wait) continue;  // the task has ended
    switch (wait->kind) {
      case why::recv: recv_wait.emplace(wait->fd, std::move(current)); break;
      case why::send: send_wait.emplace(wait->fd, std::move(current)); break;
      case why::future: future_wait.emplace(wait->result, std::move(current)); break;
    }
  }
}

int check(long result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return static_cast<int>(result);
}

unsigned long fib(unsigned n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

struct future {  // fib(n), computed by a thread of its own
  explicit future(unsigned n) : worker([this, n] { compute(n); }) {}
  void compute(unsigned n) {
    value = fib(n);
    future* const done = this;
    check(::write(future_pair[0], &done, sizeof done), "write");
  }
  unsigned long value = 0;
  std::jthread worker;
};

task future_monitor() {
  for (;;) {
    co_yield {why::recv, future_pair[1]};
    future* done = nullptr;
    check(::read(future_pair[1], &done, sizeof done), "read");
    done->worker.join();
    wake(future_wait, done);
  }
}

struct descriptor {
  int fd;
  ~descriptor() { ::close(fd); }
};

task fib_handler(int client) {
  const descriptor closed_at_the_end{client};
  std::string input;
  char received[100];
  while (input.size() < 100) {  // no number is that long
    co_yield {why::recv, client};
    const auto count = ::recv(client, received, sizeof received, 0);
    if (count <= 0) co_return;  // the client has gone
    input.append(received, static_cast<std::size_t>(count));
    for (std::size_t end; (end = input.find('\n')) != input.npos; input.erase(0, end + 1)) {
      unsigned n = 41;  // and so it stays where there is no number
      std::from_chars(input.data(), input.data() + end, n);
      std::string answer = "ERR not a number from 0 to 40\n";
      if (n <= 40) {
        future result(n);
        co_yield {why::future, result};
        answer = std::to_string(result.value) + "\n";
      }
      co_yield {why::send, client};
      if (::send(client, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) co_return;
    }
  }
}

task fib_server(int listener) {
  for (;;) {
    co_yield {why::recv, listener};
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) tasks.push_back(fib_handler(client));  // else: it has gone already
  }
}

int listen_on(unsigned short port) {
  const int listener = check(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  check(::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
  sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t length = sizeof address;
  check(::bind(listener, reinterpret_cast<sockaddr*>(&address), length), "bind");
  check(::listen(listener, SOMAXCONN), "listen");
  check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

int main(int argc, char** argv) try {
  check(::socketpair(AF_UNIX, SOCK_STREAM, 0, future_pair), "socketpair");
  tasks.push_back(future_monitor());
  tasks.push_back(fib_server(listen_on(static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 5566))));
  run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "beazley: %s\n", error.what());
  return 1;
}
