// L4 io: a request that the kernel answers again and again, and the tasks that take the answers; knows the driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_op.hpp>

namespace ringlet::detail {

class socket;

/// What comes in at a socket, whether or not anybody waits for it just then. Belongs to the socket, so a wait that is
/// cancelled loses nothing and costs no system call, and the next one goes on where it ended.
class inflow : public io_op, private background {
 public:
  /// A task's wait for what comes in next. Base of awaiters.
  class visit : public wait {
   public:
    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> here) noexcept {
      park(here, *this);
      flow_->begin(*this);
    }
    bool await_cancelled() const noexcept { return cancelled_; }

    void cancel() noexcept override;
    wait_text describe() const noexcept override;

   protected:
    explicit visit(inflow& flow) noexcept : flow_(&flow) {}

    inflow& flow() const noexcept { return *flow_; }
    int refused() const noexcept { return refused_; }

    /// Throws what the wait was ended by, if it was.
    void check_end() const {
      const bool ended = cancelled_ || refused_ != 0;
      if (ended) [[unlikely]]
        throw_end();
    }

   private:
    friend class inflow;
    [[noreturn]] void throw_end() const;

    inflow* flow_;
    int refused_ = 0;  // 0, or why there was nothing to wait for: EBADF, EBUSY
    bool cancelled_ = false;
  };

  virtual ~inflow() = default;

  void complete(int result, buffer* filled, bool more) noexcept final;

  /// A task waits.
  bool visited() const noexcept { return visitor_ != nullptr; }

  /// The kernel has the request.
  bool armed() const noexcept { return in_flight(); }

  /// Lets a one-shot operation have its turn: it gets what has come in already, or begins when the request has ended.
  void make_way_for(io_op& op) noexcept;

  /// Ends the request, without closing: what has come in stays.
  void pause() noexcept {
    cancel();
    attend(true);  // it will soon be heard of
  }

  /// Ends the request and every wait, and drops what nobody has taken.
  void close() noexcept;

 protected:
  inflow(socket& owner, const io_request& request) noexcept : io_op(request), owner_(&owner) {}

  socket& owner() const noexcept { return *owner_; }

 private:
  /// Sets what is asked for next.
  virtual void prepare() noexcept {}

  virtual bool has_something() const noexcept = 0;
  virtual void store(int result, buffer* filled) noexcept = 0;
  virtual void drop_all() noexcept = 0;

  /// The request has ended, with this errno.
  virtual void note_failure(int error) noexcept = 0;

  /// What the operation, which asks for the same, can have at once; -EAGAIN for nothing.
  virtual int pass_on(const io_request& to) noexcept = 0;

  void begin(visit& v) noexcept;
  void arm() noexcept;
  void disarm() noexcept;
  void wake_visitor() noexcept;
  void hand_over() noexcept;

  socket* owner_;
  visit* visitor_ = nullptr;    // null: nobody waits
  io_op* successor_ = nullptr;  // null: none; waits for the end of the request
  bool closed_ = false;
};

}  // namespace ringlet::detail
