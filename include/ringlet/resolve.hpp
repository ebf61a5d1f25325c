// L5 services: looks host names up without stopping the loop; knows the thread pool and getaddrinfo.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/endpoint.hpp>
#include <ringlet/task.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringlet {

/// A host name that could not be looked up: "resolve example.invalid: name or service not known".
class resolve_error : public std::runtime_error {
 public:
  /// code: one of getaddrinfo's, EAI_NONAME for example.
  resolve_error(const std::string& host, int code);
  /// One of getaddrinfo's codes.
  int code() const noexcept { return code_; }

 private:
  int code_;
};

/// The addresses of a host, in the order in which they should be tried; at least one. Numeric hosts need no look-up.
/// errors: resolve_error; os_error. cancel: at once; the look-up itself goes on unseen, and its end is awaited with
/// the thread pool's. suspends: always, unless numeric.
task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port);

}  // namespace ringlet
