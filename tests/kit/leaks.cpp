// Test kit: reads /proc/self for what may leak.
#include "leaks.hpp"

#include <ringlet/detail/frame_pool.hpp>

#include <cctype>
#include <cstdlib>

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kit {
namespace {

std::set<int> numbers_in(const char* folder) {
  std::set<int> numbers;
  DIR* dir = ::opendir(folder);
  while (const dirent* entry = ::readdir(dir)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0) numbers.insert(std::atoi(entry->d_name));
  }
  numbers.erase(::dirfd(dir));
  ::closedir(dir);
  return numbers;
}

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

leaks leaks::now() {
  leaks found;
  found.descriptors = numbers_in("/proc/self/fd");
  found.threads = static_cast<int>(numbers_in("/proc/self/task").size());
  found.children = has_children();
  found.frames = ringlet::detail::frames.live();
  return found;
}

std::string leaks::since(const leaks& before) {
  const leaks found = now();
  std::string text;
  for (const int fd : found.descriptors) {
    if (before.descriptors.count(fd) == 0) text += "descriptor " + std::to_string(fd) + "; ";
  }
  if (found.threads > before.threads) text += std::to_string(found.threads - before.threads) + " threads; ";
  if (found.children && !before.children) text += "a child process; ";
  if (found.frames > before.frames) text += std::to_string(found.frames - before.frames) + " frames; ";
  return text;
}

std::string leaks::settled_since(const leaks& before) {
  std::string text = since(before);
  for (int tries = 0; tries < 100 && !text.empty(); ++tries) {
    ::usleep(10'000);
    text = since(before);
  }
  return text;
}

}  // namespace kit
