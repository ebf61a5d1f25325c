// Example: the fib server's limits, and the command line that sets them.
#pragma once

#include <ringlet/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

struct fib_options {
  std::string host = "localhost";
  std::uint16_t port = 5566;
  int threads = 1;  // that serve connections
  unsigned max_n = 40;
  std::size_t workers = 0;          // 0: one a processor
  std::size_t queue = 0;            // 0: 4 a worker
  std::size_t max_connections = 0;  // 0: what serve() finds reasonable
  std::size_t max_line = 64;
  std::size_t max_skip = 64 * 1024;
  std::size_t max_output = 64 * 1024;
  unsigned max_pending = 32;
  ringlet::duration idle_timeout = std::chrono::minutes(5);
  ringlet::duration line_timeout = std::chrono::seconds(10);
  ringlet::duration write_timeout = std::chrono::seconds(30);
  ringlet::duration drain_timeout = std::chrono::seconds(5);
};

struct parsed_options {
  fib_options options;
  std::optional<int> exit_code;  // empty: go on; 0: help was printed; 2: the command line is wrong
};

parsed_options parse_fib_options(int argc, char** argv);
