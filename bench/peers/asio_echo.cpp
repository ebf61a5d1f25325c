// Bench: the echo server on Asio, a peer: asio_echo coroutines|callbacks
#include "../descriptors.hpp"

#include <array>
#include <memory>
#include <string_view>

#include <fmt/core.h>
#include <asio.hpp>

namespace {

using asio::ip::tcp;

asio::awaitable<void> session(tcp::socket client) {
  std::array<char, 16 * 1024> buffer;
  try {
    for (;;) {
      const std::size_t got = co_await client.async_read_some(asio::buffer(buffer), asio::use_awaitable);
      co_await async_write(client, asio::buffer(buffer, got), asio::use_awaitable);
    }
  } catch (const std::system_error&) {  // the end of the stream, too
  }
}

asio::awaitable<void> accept_all(tcp::acceptor& listener) {
  for (;;) {
    tcp::socket client = co_await listener.async_accept(asio::use_awaitable);
    client.set_option(tcp::no_delay(true));
    co_spawn(listener.get_executor(), session(std::move(client)), asio::detached);
  }
}

class callback_session : public std::enable_shared_from_this<callback_session> {
 public:
  explicit callback_session(tcp::socket client) : client_(std::move(client)) {}

  void read() {
    client_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](std::error_code error, std::size_t got) {
      if (!error) self->write(got);
    });
  }

 private:
  void write(std::size_t size) {
    async_write(client_, asio::buffer(buffer_, size), [self = shared_from_this()](std::error_code error, std::size_t) {
      if (!error) self->read();
    });
  }

  tcp::socket client_;
  std::array<char, 16 * 1024> buffer_;
};

void accept_next(tcp::acceptor& listener) {
  listener.async_accept([&listener](std::error_code error, tcp::socket client) {
    if (!error) {
      client.set_option(tcp::no_delay(true));
      std::make_shared<callback_session>(std::move(client))->read();
    }
    accept_next(listener);
  });
}

void serve(bool coroutines) {
  asio::io_context loop(1);
  asio::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&loop](std::error_code, int) { loop.stop(); });
  tcp::acceptor listener(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  listener.listen(4096);
  fmt::print("listening on 127.0.0.1:{}\n", listener.local_endpoint().port());
  std::fflush(stdout);
  if (coroutines) {
    co_spawn(loop, accept_all(listener), asio::detached);
  } else {
    accept_next(listener);
  }
  loop.run();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view style = argc == 2 ? argv[1] : "";
  if (style != "coroutines" && style != "callbacks") {
    fmt::print(stderr, "asio_echo coroutines|callbacks\n");
    return 2;
  }
  try {
    bench::allow_many_descriptors();
    serve(style == "coroutines");
  } catch (const std::exception& e) {
    fmt::print(stderr, "asio_echo: {}\n", e.what());
    return 1;
  }
}
