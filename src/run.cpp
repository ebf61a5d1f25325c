// L6 surface: sets a loop up and takes it down; knows every layer.
// SPDX-License-Identifier: MIT
#include <ringlet/run.hpp>

#include <ringlet/monitor.hpp>
#include <ringlet/offload.hpp>
#include <ringlet/tcp_listener.hpp>

#include "interrupts.hpp"
#include "signal_action.hpp"
#include "trace_recorder.hpp"
#include "uring/uring_driver.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <optional>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace ringlet::detail {
namespace {

using monitor_task = child<void, task<> (*)(tcp_listener), tcp_listener>;

// Whose children the root task and the monitor are. The loop itself sees when both have finished.
class outermost final : public parent {
 public:
  explicit outermost(const std::optional<endpoint>& monitored_at) {
    if (monitored_at) monitor_ = ref(new monitor_task(&monitor, tcp_listener::bind(*monitored_at)));
  }

  /// The monitor begins beside the root task, and ends with it.
  void start(child_base& root) noexcept {
    root.start_under(*this, nullptr);
    if (monitor_) monitor_->start_under(*this, nullptr);
  }

  void child_finished(child_base& child) noexcept override {
    const bool root_has_ended = &child != monitor_.get();
    if (root_has_ended && monitor_ && !monitor_->done()) monitor_->base_scope().cancel();
  }

 private:
  ref<monitor_task> monitor_;  // null: there is none
};

// Why: a write to a closed pipe through io_uring raises SIGPIPE, which by default ends the process.
void ignore_sigpipe_unless_handled() {
  if (has_default_action(SIGPIPE)) ::signal(SIGPIPE, SIG_IGN);
}

// Why: a process may be started with descriptors 0 to 2 closed, and a ring or a connection that landed there would get
// what is printed. They are left open, for others may have begun to use them.
void open_standard_fds() noexcept {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    const int opened = ::open("/dev/null", O_RDWR);
    if (opened > 2) ::close(opened);  // another thread was faster
  }
}

/// What is left of loops that have ended, of which somebody may still have a reference: the newest, for it is memory.
class ended_loops {
 public:
  void keep(std::unique_ptr<scheduler> ended) {
    const std::lock_guard lock(mutex_);
    newest_[count_++ % newest_.size()] = std::move(ended);
  }

 private:
  std::mutex mutex_;
  std::array<std::unique_ptr<scheduler>, 100> newest_;
  std::size_t count_ = 0;
};

struct end_of_loop {
  void operator()(scheduler* ended) const noexcept {
    // Why never destroyed: threads may be later than the end of main().
    static auto* const kept = new ended_loops;
    std::unique_ptr<scheduler> rest(ended);
    if (rest->retire()) kept->keep(std::move(rest));
  }
};

// This thread's frame pool is in use, and its driver is the one of the loop.
class thread_state {
 public:
  explicit thread_state(io_driver* driver) noexcept {
    if (driver != nullptr) current_driver = driver;
    frames.open();
  }
  thread_state(const thread_state&) = delete;
  thread_state& operator=(const thread_state&) = delete;
  ~thread_state() {
    release_default_pool();
    current_driver = nullptr;
    frames.close();
  }
};

}  // namespace

struct loop::parts {
  static scheduler::settings settings_of(const options& how) {
    scheduler::settings s;
    s.clock = how.clock_;
    s.shuffled = how.seed_.has_value();
    s.seed = how.seed_.value_or(0);
    s.stall_limit = how.stall_limit_;
    s.on_stall = how.on_stall_;
    return s;
  }

  parts(const options& how, io_driver* given)
      : thread(given),
        ring(given == nullptr ? std::make_unique<uring_driver>(how.entries_, how.clock_) : nullptr),
        scheduler_(new scheduler(given == nullptr ? *ring : *given, settings_of(how))),
        handle_signals(how.handle_signals_),
        family(how.monitor_) {}

  thread_state thread;
  std::unique_ptr<uring_driver> ring;  // null: a driver was given
  std::unique_ptr<scheduler, end_of_loop> scheduler_;
  bool handle_signals;
  outermost family;
};

loop::loop(const options& how) {
  if (current_scheduler != nullptr) throw std::logic_error("run() was called inside run() on the same thread");
  open_standard_fds();
  if (!how.keep_sigpipe_) ignore_sigpipe_unless_handled();
  parts_ = new parts(how, how.driver_);
}

loop::~loop() {
  delete parts_;
}

void loop::run(child_base& root) {
  std::unique_ptr<interrupts> signals;
  if (parts_->handle_signals) signals = std::make_unique<interrupts>(root.base_scope());
  trace_loop();
  parts_->family.start(root);
  parts_->scheduler_->run(root);
}

}  // namespace ringlet::detail
