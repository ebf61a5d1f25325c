// Test kit: what tests of child processes share: a place for files, and what a shell finds.
#pragma once

#include "../kernel/folder.hpp"
#include "../kernel/kernel.hpp"

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>

namespace processes {

using namespace kernel;
namespace process = ringlet::process;
using process::cmd;
using process::completed;
using process::sh;
using process::stdio;

std::string contents(const std::string& path);
void write_file(const std::string& path, const std::string& text, bool executable = false);

/// Whoever has the writing end, and does not close it, is seen at the reading end.
struct lifeline {
  lifeline() : lifeline(open_ends()) {}
  pipe_reader reading;
  unique_fd writing;

 private:
  using ends = std::pair<unique_fd, unique_fd>;
  explicit lifeline(ends both) : reading(std::move(both.first)), writing(std::move(both.second)) {}
  static ends open_ends();
};

/// What `body` throws as an os_error, else "nothing".
std::string failure_of(task<> body);
std::string failure_of(task<completed> body);

/// Communicates again and again, each time for a moment only: whoever copies the input to its output between "first"
/// and "last" loses nothing.
template <class Children>
task<> expect_all_despite_timeouts(Children& slow, const std::string& input) {
  int timeouts = 0;
  std::optional<completed> done;
  while (!done && timeouts < 1000) {
    done = co_await move_on_after(30ms, slow.communicate(input));
    if (!done) ++timeouts;
  }
  REQUIRE(done);
  CHECK(timeouts > 3);
  CHECK(done->out == "first\n" + input);
  CHECK(done->err == "last\n");
  CHECK(done->ok());
}

}  // namespace processes
