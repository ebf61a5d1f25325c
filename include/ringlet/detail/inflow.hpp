// L4 io: a request that the kernel answers again and again, and the tasks that take the answers; knows the driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_op.hpp>
#include <ringlet/detail/wait_queue.hpp>

#include <string>

namespace ringlet::detail {

class socket;

/// What comes in at a socket, whether or not anybody waits for it just then. Belongs to the socket, so a wait that is
/// cancelled loses nothing and costs no system call, and the next one goes on where it ended. Derived classes hold what
/// has come in. Their complete() calls disarm() when the request is over, stores what came, and ends with
/// end_completion().
class inflow : public io_op, private background {
 public:
  /// A task's wait for what comes in next, until it has been taken. Base of awaiters.
  class visit : public second_look, public cancel_note {
   public:
    ~visit() { leave(); }

    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> here) noexcept {
      park(here, *this);
      flow_->begin(*this);
    }

    void cancel() noexcept override;
    bool look() noexcept override;
    wait_text describe() const noexcept override;

   protected:
    explicit visit(inflow& flow) noexcept : flow_(&flow) {}
    visit(const visit&) = default;

    /// Only when refused() is 0.
    inflow& flow() const noexcept { return *flow_; }
    int refused() const noexcept { return refused_; }

    /// Ends the visit; throws what it was ended by, if it was.
    void finish() {
      leave();
      const bool ended = await_cancelled() || refused_ != 0;
      if (ended) [[unlikely]]
        throw_end();
    }

   private:
    friend class inflow;

    enum class stage : std::uint8_t {
      outside,  // not begun, or over
      waiting,
      woken,  // something is there, or may be, and nobody else gets it before the task has gone on
    };

    void leave() noexcept {
      if (stage_ != stage::outside) flow_->release(*this);
    }
    [[noreturn]] void throw_end() const;

    stage stage_ = stage::outside;
    bool found_ = false;  // there was something before the wait began
    int refused_ = 0;     // 0, or why there was nothing to wait for: EBADF, EBUSY
    inflow* flow_;        // null: it was closed meanwhile, and may be gone
  };

  virtual ~inflow() = default;

  /// A task waits, or is about to take what it waited for.
  bool visited() const noexcept { return visitor_ != nullptr; }

  /// A task waits, and nothing has come.
  bool awaited() const noexcept { return visitor_ != nullptr && visitor_->stage_ == visit::stage::waiting; }

  wait_text describe() const noexcept override { return {verb_, request_.fd}; }

  /// Something can be taken: a thing, the end, or a failure.
  bool has_something() const noexcept { return held_ != 0 || failure_ != 0; }

  /// The same, after a look where that is needed to know.
  bool finds_something() noexcept { return has_something() || (must_look_ && look_now()); }

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
  /// verb: what is waited for, as in "accept fd".
  inflow(socket& owner, const char* verb, const io_request& request) noexcept
      : io_op(request), owner_(&owner), verb_(verb) {}

  socket& owner() const noexcept { return *owner_; }
  os_error make_error(int error) const final { return os_error(verb_, std::to_string(request_.fd), error); }

  /// The request is over.
  void disarm() noexcept;
  /// For a negative result. One that was only ended, by us or by a signal, is no failure.
  void take_failure(int result) noexcept;
  /// Wakes who waits, if something can be taken; else goes on. Comes last: it may destroy this.
  void end_completion() noexcept {
    if (awaited() && has_something()) return wake_visitor();
    if (awaited() && must_look_) return wake_to_look();
    go_on();
  }

  std::uint32_t held_ = 0;  // how much can be taken, failure_ apart; derived classes keep count
  int failure_ = 0;         // errno that nobody has been told of yet; 0: none
  bool must_look_ = false;  // something may have come, which look() finds out

 private:
  /// Sets what is asked for next.
  virtual void prepare() noexcept = 0;

  virtual void drop_all() noexcept = 0;

  /// Takes in what has come, if anything has.
  virtual void look() noexcept {}

  /// The request has failed, with this errno. EAGAIN: the descriptor is one that does not wait.
  virtual void note_failure(int error) noexcept = 0;

  /// What the operation, which asks for the same, can have at once; -EAGAIN for nothing.
  virtual int pass_on(const io_request& to) noexcept = 0;

  void begin(visit& v) noexcept {
    visitor_ = &v;
    attend(true);
    v.stage_ = visit::stage::waiting;
    if (v.found_) return wake_visitor();  // Why possible: the task has had its share, and lets others run
    if (!armed()) arm();
  }
  void arm() noexcept;
  void go_on() noexcept;
  bool look_now() noexcept;
  void wake_to_look() noexcept {
    visitor_->stage_ = visit::stage::woken;
    this_driver().looks().wake(*visitor_);
  }
  void wake_visitor() noexcept {
    visitor_->stage_ = visit::stage::woken;
    this_loop().wake(*visitor_->waiter());
  }
  void release(visit& v) noexcept {
    v.stage_ = visit::stage::outside;
    visitor_ = nullptr;
    attend(cancelling());
  }
  void turn_away() noexcept;
  void hand_over() noexcept;

  socket* owner_;
  const char* verb_;
  visit* visitor_ = nullptr;    // null: nobody; else who waits, or was woken and has not taken anything yet
  io_op* successor_ = nullptr;  // null: none; waits for the end of the request
  bool closed_ = false;
};

}  // namespace ringlet::detail
