// Example: parses a line of the fib protocol. Knows no locale, accepts no sign, and cannot overflow.
#include "fib_protocol.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace {

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

std::string_view trimmed(std::string_view line) noexcept {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  return line;
}

bool all_digits(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

}  // namespace

request parse_request(std::string_view line, unsigned max_n) noexcept {
  const std::string_view text = trimmed(line);
  const request out_of_range{0, "ERR out of range (0..{})"};
  if (text.empty()) return {0, "ERR empty"};
  if (text.front() == '-' && all_digits(text.substr(1))) return out_of_range;
  if (!all_digits(text)) return {0, "ERR not a number"};
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || n > max_n) return out_of_range;
  return {static_cast<unsigned>(n), nullptr};
}
