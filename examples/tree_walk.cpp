// Example: compares two folders by walking both at once: tree_walk FOLDER [OTHER]
// The walk is plain recursion and knows nothing of who uses it. As a stackful_generator it is a sequence that one can
// take from step by step, and so two of them can be merged, which two recursions cannot.
#include <ringlet/stackful_generator.hpp>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>

using namespace ringlet;
namespace fs = std::filesystem;

struct entry {
  std::vector<std::string> path;  // below the folder where the walk began
  bool folder;
};

std::vector<fs::directory_entry> sorted_entries(const fs::path& folder) {
  std::vector<fs::directory_entry> found{fs::directory_iterator(folder), fs::directory_iterator()};
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.path() < b.path(); });
  return found;
}

void walk(const fs::path& folder, std::vector<std::string>& path, yielder<entry>& yield) {
  for (const fs::directory_entry& found : sorted_entries(folder)) {
    const bool is_folder = found.is_directory() && !found.is_symlink();
    path.push_back(found.path().filename());
    yield({path, is_folder});
    if (is_folder) walk(found.path(), path, yield);
    path.pop_back();
  }
}

stackful_generator<entry> entries_below(const fs::path& folder) {
  return stackful_generator<entry>([folder](yielder<entry>& yield) {
    std::vector<std::string> path;
    walk(folder, path, yield);
  });
}

void print_tree(const fs::path& folder) {
  for (const entry& found : entries_below(folder)) {
    fmt::print("{:{}}{}{}\n", "", 2 * (found.path.size() - 1), found.path.back(), found.folder ? "/" : "");
  }
}

void print_line(char side, const entry& found) {
  std::string line(1, side);
  for (const std::string& name : found.path) line.append(&name == found.path.data() ? " " : "/").append(name);
  fmt::print("{}{}\n", line, found.folder ? "/" : "");
}

/// Both walks go in the same order, as in the last step of a merge sort.
void print_differences(const fs::path& folder, const fs::path& other) {
  stackful_generator<entry> left = entries_below(folder), right = entries_below(other);
  std::optional<entry> ours = left.next(), theirs = right.next();
  while (ours || theirs) {
    const bool only_ours = !theirs || (ours && ours->path < theirs->path);
    const bool only_theirs = !ours || (theirs && theirs->path < ours->path);
    if (only_ours) print_line('-', *ours);
    if (only_theirs) print_line('+', *theirs);
    if (!only_theirs) ours = left.next();
    if (!only_ours) theirs = right.next();
  }
}

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    fmt::print(stderr, "usage: tree_walk FOLDER [OTHER]\n");
    return 2;
  }
  try {
    argc == 2 ? print_tree(argv[1]) : print_differences(argv[1], argv[2]);
  } catch (const std::exception& e) {
    fmt::print(stderr, "tree_walk: {}\n", e.what());
    return 1;
  }
}
