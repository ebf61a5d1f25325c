// Example: what a line of the fib protocol asks for.
#pragma once

#include <string_view>

/// One request: a number, or the fixed text that says what is wrong with it. {} in it stands for the largest n.
struct request {
  unsigned n = 0;
  const char* error = nullptr;  // null: n is good
};

/// line: without its newline; may be anything. Grammar: [ \t]*[0-9]+[ \t]*\r?
request parse_request(std::string_view line, unsigned max_n) noexcept;
