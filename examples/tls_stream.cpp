// Example: TLS for fibers: how OpenSSL waits without knowing it.
#include "tls_stream.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <fmt/format.h>

using namespace ringlet;

namespace {

std::string text_of(unsigned long error) {
  if (ERR_SYSTEM_ERROR(error)) return std::system_category().message(ERR_GET_REASON(error));
  const char* const reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : fmt::format("error {:#x}", error);
}

void require(bool done, std::string_view what) {
  if (!done) throw tls_error(fmt::format("{}: {}", what, text_of(ERR_peek_error())));
}

bool is_address(const std::string& host) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

tls_context make_context(const SSL_METHOD* side) {
  ERR_clear_error();
  tls_context made(SSL_CTX_new(side));
  require(made != nullptr, "TLS");
  SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(made.get(), SSL_MODE_RELEASE_BUFFERS);  // so that a connection that waits holds less memory
  return made;
}

/// Before what computes for long. Why: each step of a handshake takes half a millisecond, and when hundreds of clients
/// come at once, they would all be taken in one turn of the loop, which meanwhile looks at no timer.
void let_others_go_first() {
  constexpr duration enough = std::chrono::milliseconds(5);
  while (std::chrono::steady_clock::now() - this_scheduler().now() > enough) fiber::await(yield_now());
}

}  // namespace

tls_context tls_server_context(const std::string& certificates, const std::string& key) {
  tls_context made = make_context(TLS_server_method());
  require(SSL_CTX_use_certificate_chain_file(made.get(), certificates.c_str()) == 1, certificates);
  require(SSL_CTX_use_PrivateKey_file(made.get(), key.c_str(), SSL_FILETYPE_PEM) == 1, key);
  return made;
}

tls_context tls_client_context(const std::string& authorities) {
  tls_context made = make_context(TLS_client_method());
  SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
  if (authorities.empty()) {
    require(SSL_CTX_set_default_verify_paths(made.get()) == 1, "the system's certificates");
  } else {
    require(SSL_CTX_load_verify_file(made.get(), authorities.c_str()) == 1, authorities);
  }
  return made;
}

// --- What OpenSSL calls

tls_stream::tls_stream(tcp_stream connected, const tls_context& context) : stream_(std::move(connected)) {
  ERR_clear_error();
  session_.reset(SSL_new(context.get()));
  BIO* const bio = session_ ? BIO_new(callbacks()) : nullptr;
  require(bio != nullptr, "TLS");
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(session_.get(), bio, bio);
}

BIO_METHOD* tls_stream::callbacks() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fiber");
    require(method != nullptr, "TLS");
    BIO_meth_set_read(method, read_callback);
    BIO_meth_set_write(method, write_callback);
    BIO_meth_set_ctrl(method, control_callback);
    return method;
  }();
  return made;
}

int tls_stream::read_callback(BIO* from, char* to, int size) noexcept {
  auto& self = *static_cast<tls_stream*>(BIO_get_data(from));
  const auto room = std::as_writable_bytes(std::span(to, static_cast<std::size_t>(size)));
  return self.run_callback(BIO_FLAGS_READ, from, [&] { return self.read_bytes(room); });
}

int tls_stream::write_callback(BIO* to, const char* from, int size) noexcept {
  auto& self = *static_cast<tls_stream*>(BIO_get_data(to));
  const auto bytes = std::as_bytes(std::span(from, static_cast<std::size_t>(size)));
  return self.run_callback(BIO_FLAGS_WRITE, to, [&] { return self.write_bytes(bytes); });
}

long tls_stream::control_callback(BIO*, int command, long, void*) noexcept {
  return command == BIO_CTRL_FLUSH ? 1 : 0;  // there is nothing to flush, and nothing else that it can do
}

/// Why nothing may be thrown: the frames above are OpenSSL's, of C, which has no unwinding, and would be left with its
/// state half changed. So the exception waits in thrown_ until OpenSSL has returned.
/// Why "retry", whatever was thrown: OpenSSL then keeps its state, as it does for sockets that would block, and what
/// was cancelled can go on later.
/// Why the queue of errors is emptied twice: it is the thread's, not the fiber's. While this one waits others make
/// calls; they must not find its errors, nor it theirs.
template <class Transfer>
int tls_stream::run_callback(int what_to_retry, BIO* bio, Transfer transfer) noexcept {
  keep_openssl_error();
  BIO_clear_retry_flags(bio);
  int transferred = -1;
  try {
    transferred = static_cast<int>(transfer());
  } catch (...) {
    thrown_ = std::current_exception();
    BIO_set_flags(bio, what_to_retry | BIO_FLAGS_SHOULD_RETRY);
  }
  ERR_clear_error();
  return transferred;
}

std::size_t tls_stream::read_bytes(std::span<std::byte> to) {
  if (not_taken_.empty()) {
    received_ = fiber::await(stream_.receive());
    not_taken_ = received_.bytes();
    if (!SSL_is_init_finished(session_.get())) let_others_go_first();
  }
  const std::size_t count = std::min(to.size(), not_taken_.size());
  if (count != 0) std::memcpy(to.data(), not_taken_.data(), count);
  not_taken_ = not_taken_.subspan(count);
  if (not_taken_.empty()) received_ = chunk();
  return count;
}

std::size_t tls_stream::write_bytes(std::span<const std::byte> from) {
  std::size_t sent = 0;
  try {
    fiber::await(stream_.write_all(from, sent));
  } catch (...) {
    if (sent == 0) throw;  // else OpenSSL comes back with the rest, and it is thrown then
  }
  return sent;
}

// --- What calls OpenSSL

/// False: failed, with nothing thrown by a callback and no error of OpenSSL's own.
/// Why everything about an error is asked for right after the call, with no await between: see run_callback().
template <class Function>
bool tls_stream::call(const char* what, Function function) {
  if (std::exchange(in_call_, true)) throw std::logic_error("two fibers use a tls_stream at the same time");
  ERR_clear_error();
  openssl_error_ = 0;
  const bool done = function();
  keep_openssl_error();
  in_call_ = false;
  std::exception_ptr thrown = std::exchange(thrown_, nullptr);
  if (done) return true;
  if (thrown) std::rethrow_exception(std::move(thrown));
  if (openssl_error_ != 0) fail(what);
  return false;
}

void tls_stream::keep_openssl_error() noexcept {
  if (openssl_error_ == 0) openssl_error_ = ERR_peek_error();
  ERR_clear_error();
}

void tls_stream::fail(const char* what) {
  std::string text = fmt::format("{}: {}", what, text_of(openssl_error_));
  const long verdict = SSL_get_verify_result(session_.get());
  if (verdict != X509_V_OK) text.append(": ").append(X509_verify_cert_error_string(verdict));
  throw tls_error(text);
}

void tls_stream::accept() {
  SSL_set_accept_state(session_.get());
  handshake();
}

void tls_stream::connect(const std::string& host) {
  X509_VERIFY_PARAM* const rules = SSL_get0_param(session_.get());
  ERR_clear_error();
  if (is_address(host)) {
    require(X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) == 1, host);
  } else {
    require(SSL_set_tlsext_host_name(session_.get(), host.c_str()) == 1, host);
    require(X509_VERIFY_PARAM_set1_host(rules, host.c_str(), 0) == 1, host);
  }
  SSL_set_connect_state(session_.get());
  handshake();
}

void tls_stream::handshake() {
  if (!call("TLS handshake", [&] { return SSL_do_handshake(session_.get()) == 1; })) throw tls_cut_off();
}

std::size_t tls_stream::read_some(std::span<std::byte> to) {
  if (to.empty()) return 0;
  std::size_t count = 0;
  if (call("TLS", [&] { return SSL_read_ex(session_.get(), to.data(), to.size(), &count) == 1; })) return count;
  const bool has_close_notify = (SSL_get_shutdown(session_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  if (!has_close_notify) throw tls_cut_off();
  return 0;
}

void tls_stream::write_all(std::span<const std::byte> from) {
  if (from.empty()) return;
  std::size_t written = 0;
  if (!call("TLS", [&] { return SSL_write_ex(session_.get(), from.data(), from.size(), &written) == 1; })) {
    throw tls_cut_off();
  }
}

void tls_stream::shutdown_send() {
  if (close_notify_sent_) return;  // Why not OpenSSL's own flag: it is set before anything has been written
  if (!call("TLS close-notify", [&] { return SSL_shutdown(session_.get()) >= 0; })) throw tls_cut_off();
  close_notify_sent_ = true;
}
