// Test kit: an object whose move fails when a test wants it to.
#pragma once

#include <stdexcept>

namespace kit {

/// Its move constructor throws when it is told to.
class fragile {
 public:
  static inline int moves_left = -1;  // until one throws; negative: none does

  explicit fragile(int number) : number_(number) {}
  fragile(fragile&& other) : number_(other.number_) {
    if (moves_left-- == 0) throw std::runtime_error("broken");
  }
  int number() const { return number_; }

 private:
  int number_;
};

}  // namespace kit
