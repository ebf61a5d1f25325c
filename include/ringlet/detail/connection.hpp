// L5 services: a connection being made or accepted, of any family; knows sockets and their addresses.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/endpoint.hpp>
#include <ringlet/stream.hpp>

namespace ringlet::detail {

/// A connection being made.
class connect_op : public stream_op {
 public:
  bool await_ready() noexcept;

 protected:
  connect_op(const endpoint& to, unique_fd unconnected);
  socket_owner take();

 private:
  connect_op(const endpoint& to, socket_owner s);
  os_error make_error(int error) const override;
  bool is_transient(int) const noexcept override { return false; }  // Why: a connect cannot be asked for twice

  endpoint to_;
  socket_owner socket_;
};

template <class Stream>
class [[nodiscard]] connect_awaiter final : public connect_op {
 public:
  connect_awaiter(const endpoint& to, unique_fd unconnected) : connect_op(to, std::move(unconnected)) {}
  Stream await_resume() { return Stream(take()); }
};

/// One connection being accepted. Errors of the connection itself, not of the listener, are passed over.
class accept_op : public stream_op {
 protected:
  explicit accept_op(socket& listener) noexcept;
  accept_op(accept_op&&) = default;
  ~accept_op();
  unique_fd take();

 private:
  bool is_transient(int result) const noexcept override;

  bool taken_ = false;
};

template <class Stream>
class [[nodiscard]] accept_awaiter final : public accept_op {
 public:
  explicit accept_awaiter(socket& listener) noexcept : accept_op(listener) {}
  Stream await_resume() { return Stream(take()); }
};

}  // namespace ringlet::detail
