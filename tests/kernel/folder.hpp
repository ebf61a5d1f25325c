// Test kit: a folder of a test's own, gone with all that is in it when the test ends.
#pragma once

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <stdlib.h>

namespace kernel {

class folder {
 public:
  folder() : path_(std::filesystem::temp_directory_path() / "ringlet_XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const noexcept { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace kernel
