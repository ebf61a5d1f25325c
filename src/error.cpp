// L0 base: the texts of errors and of failed checks; knows only std::system_error.
// SPDX-License-Identifier: MIT
#include <ringlet/error.hpp>

#include <ringlet/detail/check.hpp>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace ringlet {
namespace {

std::string error_text(std::string_view operation, std::string_view operand, int code) {
  std::string text(operation);
  if (!operand.empty()) text.append(" ").append(operand);
  std::string reason = std::generic_category().message(code);
  // Why: a reason stands inside a sentence, but a name such as "RFS" or "I/O" keeps its capitals.
  if (reason.size() > 1 && std::islower(static_cast<unsigned char>(reason[1]))) {
    reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  }
  return text + ": " + reason;
}

}  // namespace

os_error::os_error(std::string_view operation, std::string_view operand, int code)
    : std::system_error(code, std::generic_category()), text_(error_text(operation, operand, code)) {}

os_error::os_error(std::string_view operation, int fd, int code)
    : os_error(operation, "fd " + std::to_string(fd), code) {}

startup_error::startup_error(int code, const std::string& explanation)
    : std::system_error(code, std::generic_category()), text_(explanation) {}

namespace detail {

void check_failed(const char* file, int line, const char* condition, const char* message, const check_value* values,
                  std::size_t count) noexcept {
  std::string text;
  std::size_t next = 0;
  for (const char* at = message; *at != '\0'; ++at) {
    if (at[0] == '{' && at[1] == '}' && next < count) {
      const check_value& value = values[next++];
      text += value.text() != nullptr ? std::string(value.text()) : std::to_string(value.number());
      ++at;
    } else {
      text += *at;
    }
  }
  std::fprintf(stderr, "ringlet: %s [%s, %s:%d]\n", text.c_str(), condition, file, line);
  std::abort();
}

}  // namespace detail
}  // namespace ringlet
