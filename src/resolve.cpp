// L5 services: host name look-up on the thread pool; knows getaddrinfo.
// SPDX-License-Identifier: MIT
#include <ringlet/resolve.hpp>

#include <ringlet/detail/mailbox.hpp>
#include <ringlet/detail/ref.hpp>
#include <ringlet/error.hpp>
#include <ringlet/offload.hpp>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>
#include <optional>

#include <netdb.h>
#include <sys/socket.h>

namespace ringlet {
namespace {

class resolver_errors final : public std::error_category {
 public:
  const char* name() const noexcept override { return "resolver"; }
  std::string message(int code) const override {
    std::string reason = ::gai_strerror(code);
    if (!reason.empty()) reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
    return reason;
  }
};

std::vector<endpoint> look_up(const std::string& host, std::uint16_t port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
  if (code == EAI_SYSTEM) throw os_error("resolve", host, errno);
  if (code != 0) throw resolve_error(host, code);
  std::vector<endpoint> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const endpoint address = endpoint(at->ai_addr, at->ai_addrlen).with_port(port);
    const bool known = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    if (!known) addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

std::optional<endpoint> numeric(const std::string& host, std::uint16_t port) {
  if (host == "localhost") return std::nullopt;  // Why: it may have an IPv6 address as well
  try {
    return endpoint(host, port);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

class look_up_awaiter;

/// Lives on the heap, for it may outlive the task that asked: nothing can stop getaddrinfo.
class look_up_job final : public detail::pool_job {
 public:
  look_up_job(std::string host, std::uint16_t port, look_up_awaiter& awaiter)
      : host_(std::move(host)), port_(port), awaiter_(&awaiter) {}

  void abandon() noexcept { awaiter_ = nullptr; }
  void execute() noexcept override;
  void run() noexcept override;
  void nobody_waits() noexcept override { delete this; }

 private:
  const detail::ref<detail::mailbox> home_{&detail::this_loop().post_box()};  // so that the pool finds it closed
  std::string host_;
  std::uint16_t port_;
  look_up_awaiter* awaiter_;  // null: abandoned; touched by the loop only
  detail::outcome<std::vector<endpoint>> result_;
};

class look_up_awaiter final : public detail::wait {
 public:
  look_up_awaiter(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

  bool await_ready() noexcept {
    cancelled_ = detail::cancel_requested();
    return cancelled_;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) {
    auto job = std::make_unique<look_up_job>(std::move(host_), port_, *this);
    default_pool().submit_job(*job);
    job_ = job.release();
    detail::park(here, *this);
    detail::this_loop().offload_began();
  }
  std::vector<endpoint> await_resume() {
    if (cancelled_) throw ringlet::cancelled{};
    return result_.take();
  }

  void cancel() noexcept override {
    job_->abandon();
    cancelled_ = true;
    end();
  }
  void finish(detail::outcome<std::vector<endpoint>> result) noexcept {
    result_ = std::move(result);
    end();
  }
  detail::wait_text describe() const noexcept override { return {"resolve a name"}; }

 private:
  void end() noexcept {
    detail::this_loop().offload_ended();
    detail::this_loop().wake(*waiter());
  }

  std::string host_;
  std::uint16_t port_;
  look_up_job* job_ = nullptr;
  detail::outcome<std::vector<endpoint>> result_;
  bool cancelled_ = false;
};

void look_up_job::execute() noexcept {
  try {
    result_.set_value(look_up(host_, port_));
  } catch (...) {
    result_.set_error(std::current_exception());
  }
}

void look_up_job::run() noexcept {
  if (awaiter_ != nullptr) awaiter_->finish(std::move(result_));
  delete this;
}

}  // namespace

const std::error_category& resolver_category() noexcept {
  static const resolver_errors category;
  return category;
}

resolve_error::resolve_error(const std::string& host, int code)
    : std::system_error(code, resolver_category(), "resolve " + host) {}

task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port) {
  if (const std::optional<endpoint> address = numeric(host, port)) {
    co_return std::vector<endpoint>(1, *address);
  }
  look_up_awaiter found(std::move(host), port);
  co_return co_await found;
}

}  // namespace ringlet
