// L5 services: looks host names up without stopping the loop; knows the thread pool and getaddrinfo.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/endpoint.hpp>
#include <ringlet/task.hpp>

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

namespace ringlet {

/// The errors of getaddrinfo, EAI_NONAME for example, whatever they are in errno's numbers.
const std::error_category& resolver_category() noexcept;

/// A host name that could not be looked up: "resolve example.invalid: name or service not known".
class resolve_error : public std::system_error {
 public:
  /// code: one of getaddrinfo's.
  resolve_error(const std::string& host, int code);
};

/// The addresses of a host, in the order in which they should be tried; at least one. Numeric hosts need no look-up.
/// errors: resolve_error; os_error. cancel: at once; the look-up itself goes on unseen, and its end is awaited with
/// the thread pool's. suspends: always, unless numeric.
task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port);

}  // namespace ringlet
