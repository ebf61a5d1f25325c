// Example: TLS for fibers: OpenSSL, which calls for bytes where they are to be had, over a tcp_stream.
#pragma once

#include <ringlet/ringlet.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

/// What OpenSSL has refused, in its words.
class tls_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The connection ended without a close-notify: what was read may not be all that the peer meant to send.
class tls_cut_off : public tls_error {
 public:
  tls_cut_off() : tls_error("the connection was cut off") {}
};

struct openssl_delete {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* session) const noexcept { SSL_free(session); }
};

/// What all connections of a server, or of a client, have in common.
using tls_context = std::unique_ptr<SSL_CTX, openssl_delete>;

/// certificates, key: PEM files, the server's own certificate first. errors: tls_error.
tls_context tls_server_context(const std::string& certificates, const std::string& key);

/// authorities: a PEM file of the certificates to trust; "": the system's. errors: tls_error.
tls_context tls_client_context(const std::string& authorities);

/// A TLS connection, of which one fiber at a time makes use. All calls wait by fiber::await().
/// errors: tls_error, after which it is of no more use; os_error of the connection; std::logic_error when another fiber
/// is in a call. cancel: throws `cancelled`; of what was to be read nothing is lost, of what was to be written a part
/// may be sent, and then nothing else may be written.
class tls_stream {
 public:
  tls_stream(ringlet::tcp_stream connected, const tls_context& context);
  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  /// The handshake of a server.
  void accept();
  /// The handshake of a client. host: the name, or address, that the server's certificate must be for.
  void connect(const std::string& host);

  /// Reads at least one byte; gives how many, 0 when the peer has sent its close-notify. errors: also tls_cut_off.
  std::size_t read_some(std::span<std::byte> to);
  void write_all(std::span<const std::byte> from);
  void write_all(std::string_view from) { write_all(std::as_bytes(std::span(from))); }
  /// Sends the close-notify: nothing more comes. Reading goes on.
  void shutdown_send();

 private:
  // What OpenSSL calls.
  static BIO_METHOD* callbacks();
  static int read_callback(BIO* from, char* to, int size) noexcept;
  static int write_callback(BIO* to, const char* from, int size) noexcept;
  static long control_callback(BIO* of, int command, long number, void* pointer) noexcept;
  std::size_t read_bytes(std::span<std::byte> to);
  std::size_t write_bytes(std::span<const std::byte> from);
  template <class Transfer>
  int run_callback(int what_to_retry, BIO* bio, Transfer transfer) noexcept;

  template <class Function>
  bool call(const char* what, Function function);
  void handshake();
  void keep_openssl_error() noexcept;
  [[noreturn]] void fail(const char* what);

  ringlet::tcp_stream stream_;
  std::unique_ptr<SSL, openssl_delete> session_;
  ringlet::chunk received_;               // what OpenSSL has not taken yet ...
  std::span<const std::byte> not_taken_;  // ... a part of received_
  bool in_call_ = false;
  bool close_notify_sent_ = false;
  std::exception_ptr thrown_;        // by a callback of this call; null: nothing
  unsigned long openssl_error_ = 0;  // the first one of this call; 0: none
};
