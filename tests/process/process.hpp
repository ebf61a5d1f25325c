// Test kit: what tests of child processes share: a place for files, and what a shell finds.
#pragma once

#include "../kernel/kernel.hpp"

#include <csignal>
#include <filesystem>
#include <string>

namespace processes {

using namespace kernel;
namespace process = ringlet::process;
using process::cmd;
using process::completed;
using process::sh;
using process::stdio;

/// A folder of its own for a test, gone at its end.
class folder {
 public:
  folder() {
    char name[] = "/tmp/ringlet-test-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw os_error("mkdtemp", name, errno);
    path_ = name;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() { std::filesystem::remove_all(path_); }

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::string contents(const std::string& path);
void write_file(const std::string& path, const std::string& text, bool executable = false);

/// What `body` throws as an os_error, else "nothing".
std::string failure_of(task<completed> body);

}  // namespace processes
