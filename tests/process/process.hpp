// Test kit: what tests of child processes share: a place for files, and what a shell finds.
#pragma once

#include "../kernel/folder.hpp"
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

std::string contents(const std::string& path);
void write_file(const std::string& path, const std::string& text, bool executable = false);

/// What `body` throws as an os_error, else "nothing".
std::string failure_of(task<completed> body);

}  // namespace processes
