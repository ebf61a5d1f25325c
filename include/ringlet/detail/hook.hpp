// L0 base: a copyable call-back of the user's; knows only the language.
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

namespace ringlet::detail {

template <class Signature>
class hook;

/// Why not std::function: its header alone costs a third of what a ringlet header may cost to compile.
template <class... Args>
class hook<void(Args...)> {
 public:
  hook() = default;

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, hook> && std::invocable<std::decay_t<F>&, Args...>)
  hook(F&& function) : target_(new callable<std::decay_t<F>>(std::forward<F>(function))) {}

  hook(const hook& other) : target_(other.target_ == nullptr ? nullptr : other.target_->copy()) {}
  hook(hook&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
  hook& operator=(hook other) noexcept {
    std::swap(target_, other.target_);
    return *this;
  }
  ~hook() { delete target_; }

  explicit operator bool() const noexcept { return target_ != nullptr; }
  void operator()(Args... args) const { target_->call(std::forward<Args>(args)...); }

 private:
  class target {
   public:
    virtual ~target() = default;
    virtual void call(Args... args) = 0;
    virtual target* copy() const = 0;
  };

  template <class F>
  class callable final : public target {
   public:
    template <class G>
    explicit callable(G&& function) : function_(std::forward<G>(function)) {}
    void call(Args... args) override { function_(std::forward<Args>(args)...); }
    target* copy() const override { return new callable(function_); }

   private:
    F function_;
  };

  target* target_ = nullptr;  // null: nobody wants to know
};

}  // namespace ringlet::detail
