// Bench: echo by direct calls on one buffer for all connections; for servers that are told of readiness.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace bench {

class hot_echo {
 public:
  enum class state {
    idle,     // tell me when it is readable
    blocked,  // tell me when it is writable
    closed,   // it is over
  };

  /// Sends back what is there. For edge-triggered events: it reads until there is no more.
  state readable(int fd);
  /// Sends what the kernel did not take before, then as readable().
  state writable(int fd);
  /// The descriptor may be used for another connection from now on.
  void forget(int fd);

 private:
  static constexpr std::size_t buffer_size = 64 * 1024;

  state send_back(int fd, const std::byte* from, std::size_t size);
  std::vector<std::byte>& rest_of(int fd);

  std::unique_ptr<std::byte[]> buffer_ = std::make_unique<std::byte[]>(buffer_size);
  std::vector<std::vector<std::byte>> rests_;  // for each descriptor what is still to be sent
};

}  // namespace bench
