// L4 io: the smallest driver: sockets without a kernel, in virtual time, with faults on request. A good first read.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/io_op.hpp>
#include <ringlet/fault_plan.hpp>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace ringlet::detail {

/// A few small buffers, for multishot receives.
class sim_buffers final : public buffer_pool {
 public:
  static constexpr std::uint32_t capacity = 4096;

  sim_buffers();

  /// Null when all of them are on loan.
  buffer* take() noexcept;

 private:
  void recycle(buffer& b) noexcept override;
  void discard(buffer&) noexcept override {}

  static constexpr std::size_t count = 16;
  std::vector<std::byte> memory_;
  std::vector<buffer> buffers_;
  buffer_list free_;
};

class sim_driver final : public io_driver {
 public:
  sim_driver(virtual_clock& clock, fault_plan faults);
  ~sim_driver();

  void submit(io_op& op) noexcept override;
  void cancel(io_op& op) noexcept override;
  void end_input(int fd) noexcept override;
  void close(int fd) noexcept override;
  bool multishot() noexcept override { return true; }
  int try_now(const io_request& request) noexcept override;

  void wait(time_point deadline) noexcept override;
  void wake() noexcept override;
  std::size_t in_flight() const noexcept override { return due_.size(); }
  const reactor_counters& counters() const noexcept override { return counters_; }

  // --- The world

  int make_blank();
  std::pair<int, int> make_connection(std::size_t capacity);
  int make_listener();
  int connect_to(int listener, std::size_t capacity);
  void reset(int fd);
  void script(io_code code, int fd, int result, duration after);
  unsigned asked(io_code code) const noexcept;

 private:
  struct scripted {
    io_code code;
    int result;
    duration after;
  };

  struct simulated_fd {
    int peer = -1;             // -1: not a connection, or the other end is closed
    std::string inbox;         // sent by the peer and not yet received
    std::size_t capacity = 0;  // of the inbox
    bool at_end = false;       // the peer sends nothing more
    bool send_shut = false;    // this end sends nothing more
    bool broken = false;       // the peer has reset the connection
    bool listening = false;
    std::uint64_t changes = 1;  // of what a poll would see
    std::deque<int> backlog;    // connections to accept
    std::deque<scripted> script;
  };

  /// An operation that is done and will complete when its time has come.
  struct due_completion {
    time_point when;
    std::uint64_t order;
    std::uint64_t sequence;  // of the completions of one operation
    io_op* op;
    int result;
    buffer* filled;
    bool more;
  };

  using step = std::optional<int>;  // empty: not yet

  /// Why a key an operation: the completions of one operation come in their own order, whatever the faults.
  struct multishot_state {
    std::uint64_t order = 0;         // 0: none drawn yet
    std::uint64_t changes_seen = 0;  // by a poll
  };

  void advance_pending() noexcept;
  step try_op(io_op& op) noexcept;
  step fault_for(const io_request& request) noexcept;
  step receive(simulated_fd& at, const io_request& request) noexcept;
  step send(simulated_fd& at, const io_request& request) noexcept;
  step accept(simulated_fd& at) noexcept;
  step poll(const simulated_fd& at, const io_request& request) noexcept;
  step shut_down(simulated_fd& at) noexcept;
  bool writable(const simulated_fd& at) const noexcept;
  step poll_again(io_op& op, const simulated_fd& at, const io_request& request) noexcept;
  step receive_into_buffer(simulated_fd& at) noexcept;
  void finish(io_op& op, int result, duration after, bool goes_on = false) noexcept;
  static bool is_multishot(const io_op& op) noexcept;
  bool multishot_ends() noexcept;
  std::optional<scripted> next_in_script(const io_request& request) noexcept;
  bool deliver_due() noexcept;
  void wait_for_wake_up() noexcept;

  virtual_clock& clock_;
  fault_plan faults_;
  std::map<int, simulated_fd> fds_;
  std::vector<io_op*> pending_;      // asked for, and not possible yet
  std::vector<due_completion> due_;  // done, and not reported yet
  std::map<io_op*, multishot_state> multishots_;
  std::unique_ptr<sim_buffers, abandon_pool> buffers_{new sim_buffers};
  buffer* just_filled_ = nullptr;  // by the operation that is being finished; null: none
  std::map<io_code, unsigned> asked_;
  unsigned asked_in_all_ = 0;
  unsigned multishot_completions_ = 0;
  std::uint64_t sequence_ = 0;
  reactor_counters counters_;

  std::mutex waking_;
  std::condition_variable woken_;
  bool wake_up_ = false;  // guarded by waking_
};

}  // namespace ringlet::detail
