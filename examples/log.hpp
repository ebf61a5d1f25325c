// Example: prints lines without ever stopping the loop.
#pragma once

#include <string_view>

/// Before anything else: descriptors 0 to 2 are /dev/null where they are closed, so that no connection takes their
/// number and gets what is printed; and a reader that has gone away does not end the process (SIGPIPE).
void prepare_standard_streams() noexcept;

/// A line on standard error, after the program's name; bytes that could play tricks on a terminal are escaped.
/// Dropped when nobody takes it, for a full pipe must not stop a server, and beyond ten lines a second.
/// threads: any.
void log_line(std::string_view text) noexcept;

/// A line on standard output, with the same care for full pipes.
void print_line(std::string_view text) noexcept;
