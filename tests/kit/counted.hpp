// Test kit: an object that counts itself, so that a test sees a destructor that ran twice, early or never.
#pragma once

#include <string>

namespace kit {

/// How many there are, and how many were made in all. lifetime: outlives its balanced objects.
struct tally {
  int alive = 0;
  int made = 0;
};

/// Not trivial on purpose: it has a string, and remembers whether its destructor has run.
class balanced {
 public:
  explicit balanced(tally& t) : tally_(&t), text_("a text that is too long to be stored inside the string") { begin(); }
  balanced(const balanced& other) : tally_(other.tally_), text_(other.text_) { begin(); }
  balanced(balanced&& other) noexcept : tally_(other.tally_), text_(std::move(other.text_)) { begin(); }
  balanced& operator=(const balanced&) = default;
  balanced& operator=(balanced&&) = default;
  ~balanced() { --tally_->alive; }

  const std::string& text() const noexcept { return text_; }

 private:
  void begin() noexcept {
    ++tally_->alive;
    ++tally_->made;
  }

  tally* tally_;
  std::string text_;
};

}  // namespace kit
