// Bench: the echo server on libuv, a peer: one hot buffer, and a direct write first.
#include "../descriptors.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <fmt/core.h>
#include <netinet/in.h>
#include <uv.h>

namespace {

char hot_buffer[64 * 1024];

struct rest {
  uv_write_t request;
  char* bytes;
};

void check(int result, const char* what) {
  if (result >= 0) return;
  fmt::print(stderr, "uv_echo: {}: {}\n", what, uv_strerror(result));
  std::exit(1);
}

void give_buffer(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(hot_buffer, sizeof hot_buffer);
}

void end(uv_stream_t* client) {
  auto* handle = reinterpret_cast<uv_handle_t*>(client);
  if (!uv_is_closing(handle)) uv_close(handle, [](uv_handle_t* h) { delete reinterpret_cast<uv_tcp_t*>(h); });
}

void written(uv_write_t* request, int status) {
  auto* r = reinterpret_cast<rest*>(request);
  if (status < 0) end(request->handle);
  delete[] r->bytes;
  delete r;
}

void write_rest(uv_stream_t* client, const char* bytes, std::size_t size) {
  auto* r = new rest{{}, new char[size]};
  std::memcpy(r->bytes, bytes, size);
  const uv_buf_t buffer = uv_buf_init(r->bytes, static_cast<unsigned>(size));
  check(uv_write(&r->request, client, &buffer, 1, written), "uv_write");
}

void received(uv_stream_t* client, ssize_t got, const uv_buf_t* from) {
  if (got == 0) return;
  if (got < 0) {
    end(client);
    return;
  }
  const uv_buf_t buffer = uv_buf_init(from->base, static_cast<unsigned>(got));
  const int sent = uv_try_write(client, &buffer, 1);
  if (sent < 0 && sent != UV_EAGAIN) {
    end(client);
  } else if (sent < got) {
    const auto done = static_cast<std::size_t>(sent < 0 ? 0 : sent);
    write_rest(client, from->base + done, static_cast<std::size_t>(got) - done);
  }
}

void connected(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* client = new uv_tcp_t;
  check(uv_tcp_init(listener->loop, client), "uv_tcp_init");
  auto* stream = reinterpret_cast<uv_stream_t*>(client);
  if (uv_accept(listener, stream) < 0) {
    end(stream);
    return;
  }
  uv_tcp_nodelay(client, 1);
  check(uv_read_start(stream, give_buffer, received), "uv_read_start");
}

void listen_on_loopback(uv_tcp_t& listener) {
  sockaddr_in where{};
  check(uv_ip4_addr("127.0.0.1", 0, &where), "uv_ip4_addr");
  check(uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&where), 0), "uv_tcp_bind");
  check(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, connected), "uv_listen");
  int size = sizeof where;
  check(uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&where), &size), "uv_tcp_getsockname");
  fmt::print("listening on 127.0.0.1:{}\n", ntohs(where.sin_port));
  std::fflush(stdout);
}

}  // namespace

int main() {
  bench::allow_many_descriptors();
  uv_loop_t* loop = uv_default_loop();
  uv_signal_t stop;
  check(uv_signal_init(loop, &stop), "uv_signal_init");
  check(uv_signal_start(&stop, [](uv_signal_t* s, int) { uv_stop(s->loop); }, SIGTERM), "uv_signal_start");
  uv_tcp_t listener;
  check(uv_tcp_init(loop, &listener), "uv_tcp_init");
  listen_on_loopback(listener);
  uv_run(loop, UV_RUN_DEFAULT);
}
