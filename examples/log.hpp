// Example: prints lines without ever stopping the loop.
#pragma once

#include <string_view>

/// A line on standard error, after the program's name. Dropped when nobody takes it: a full pipe must not stop a
/// server.
void log_line(std::string_view text) noexcept;

/// A line on standard output, with the same care.
void print_line(std::string_view text) noexcept;
