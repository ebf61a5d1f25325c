// L2 scheduler: the loop; knows nothing of io_uring.
// SPDX-License-Identifier: MIT
#include <ringlet/scheduler.hpp>

#include <ringlet/detail/mailbox.hpp>

#include "dump.hpp"
#include "threads.hpp"

#include <vector>

namespace ringlet {
namespace {

// How much of the stack steps may use that follow each other without a return to the loop. Why little: nobody knows how
// much there is, and a return costs little.
constexpr std::uintptr_t stack_of_steps = 32 * 1024;

}  // namespace

using detail::current;
using detail::task_record;

// One turn. docs/loop.md says the same in words.
void scheduler::turn() {
  begin_turn();
  fire_due_timers();
  run_batch();
  wait_until(next_deadline());
}

void scheduler::begin_turn() {
  if (current.turns++ % detail::turns_a_reading == 0) read_clock();
  run_posted();
}

void scheduler::fire_due_timers() noexcept {
  while (!timers_.empty() && timers_.earliest() <= now()) timers_.pop().fire();
}

void scheduler::run_batch() noexcept {
  if (observer_ != nullptr) observer_->before_batch();
  if (shuffled_) shuffle_ready();
  current.loop_wanted = shuffled_ || watched_ || !timers_.empty() || !reactor_.is_quiet();
  current.batch = current.ready.take_all();
  while (current.batch != nullptr || current.begin_short_turn()) {
    watched_ ? run_watched_step() : run_steps();
  }
  if (observer_ != nullptr) observer_->after_batch();
}

// Runs the first task of the batch until it suspends, and then those behind it, as far as each one finds the next.
void scheduler::run_steps() noexcept {
  current.lowest_step = current.lowest_return;
  current.begin_step().resume();
  end_steps();
}

void scheduler::run_watched_step() noexcept {
  const task_record& task = *current.batch;
  if (observer_ != nullptr) observer_->before_step(task);
  const bool goes_on = on_stall_ ? run_timed_step() : run_single_step();
  if (observer_ != nullptr) observer_->after_step(goes_on ? &task : nullptr);
}

// As end_steps() says.
bool scheduler::run_single_step() noexcept {
  current.lowest_step = detail::execution::nowhere;
  const std::coroutine_handle<> first = current.begin_step();
  current.budget = budget_;
  first.resume();
  return end_steps();
}

void scheduler::observe_steps(detail::step_observer& o, int budget) noexcept {
  RINGLET_CHECK(observer_ == nullptr, "the steps of this loop are observed already");
  observer_ = &o;
  budget_ = budget;
  watched_ = true;
  current.lowest_step = detail::execution::nowhere;
  current.loop_wanted = true;
}

void scheduler::ignore_steps() noexcept {
  observer_ = nullptr;
  budget_ = detail::step_budget;
  watched_ = static_cast<bool>(on_stall_);
}

// Why the real clock: a task that does not let go of the thread is a nuisance in virtual time, too.
bool scheduler::run_timed_step() noexcept {
  const std::string who = detail::task_label(*current.batch);
  const auto start = std::chrono::steady_clock::now();
  const bool goes_on = run_single_step();
  const duration took = std::chrono::steady_clock::now() - start;
  if (took <= stall_limit_) return goes_on;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  on_stall_(who + " ran for " + std::to_string(milliseconds) + " ms without suspending");
  return goes_on;
}

// The last of them may have been a task's last; false: it was.
bool scheduler::end_steps() noexcept {
  task_record& last = *std::exchange(current.task, nullptr);
  if (!last.over()) return true;
  finish(last);
  return false;
}

void scheduler::finish(task_record& task) noexcept {
  --live_;
  task.finish();
}

// Zero if something can run, else the next timer, else never.
time_point scheduler::next_deadline() {
  if (!current.ready.empty() || live_ == 0 || !mailbox_->fall_asleep()) return long_ago;
  const bool time_may_pass = virtual_clock_ == nullptr || offloads_ == 0;
  if (!timers_.empty()) return time_may_pass ? timers_.earliest() : never;
  const bool can_be_woken =
      reactor_.expects_completion() || offloads_ > 0 || expected_wake_ups_ > 0 || mailbox_->has_handles();
  return can_be_woken ? never : suspected_deadlock();
}

// Nothing this loop knows of will wake it. Only a thread that holds a plain reference to it still could.
time_point scheduler::suspected_deadlock() {
  const bool somebody_else_could = exposed_ && detail::foreign_threads() > 0;
  const bool somebody_has = !mailbox_->empty();  // Why asked last: who posted may be gone by now
  if (somebody_else_could && !somebody_has) return detail::later(now(), std::chrono::seconds(1));
  mailbox_->wake_up();
  if (!somebody_has) break_deadlock();
  return long_ago;
}

void scheduler::break_deadlock() {
  if (!failure_) failure_ = std::make_exception_ptr(deadlock_error("deadlock: no task can run again\n" + dump_tasks()));
  // Why three: the first breaks waits, the second also shielded ones, and clean-up may wait once more.
  RINGLET_CHECK(++deadlocks_broken_ <= 3, "tasks that wait for nothing cannot be unwound:\n{}", dump_tasks().c_str());
  root_->base_scope().cancel(deadlocks_broken_ > 1 ? detail::scope::reach::through_shields
                                                   : detail::scope::reach::up_to_shields);
}

void scheduler::run(task_record& root) {
  root_ = &root;
  current.lowest_return = detail::stack_address() - stack_of_steps;
  while (live_ != 0) turn();
  close_mailbox();
  root_ = nullptr;
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

// Why not read each time: a turn without a wait may be over sooner than the clock is read.
void scheduler::wait_until(time_point deadline) noexcept {
  current.time_is_stale = true;
  const bool nothing_to_do = deadline == long_ago && reactor_.is_quiet();
  if (nothing_to_do) return;
  reactor_.wait(deadline);
  mailbox_->wake_up();
  if (deadline != long_ago) read_clock();
}

void scheduler::run_posted() noexcept {
  if (!mailbox_->empty()) run_all(mailbox_->take_all());
}

// Invariant: what post() accepted is run; what comes later is refused.
void scheduler::close_mailbox() noexcept {
  run_all(mailbox_->close());
  while (detail::end_watch* watch = end_watches_.pop_front()) watch->loop_ended();
}

void scheduler::run_all(detail::remote_work* work) noexcept {
  while (work != nullptr) {
    detail::remote_work* next = work->next();
    work->run();
    work = next;
  }
}

void scheduler::fail(std::exception_ptr error) noexcept {
  if (!failure_) failure_ = std::move(error);
  if (root_ != nullptr) root_->base_scope().cancel();
}

void detail::posted_function_failed() noexcept {
  this_loop().fail(std::current_exception());
}

// Why the reference: the work may end the loop while push() is not yet done with the mailbox.
bool scheduler::push_work(detail::remote_work& work) noexcept {
  detail::mailbox& box = *mailbox_;
  box.add_reference();
  const bool accepted = box.push(work);
  box.drop_reference();
  return accepted;
}

void scheduler::read_clock() noexcept {
  current.time_is_stale = false;
  now_ = virtual_clock_ != nullptr ? virtual_clock_->now() : std::chrono::steady_clock::now();
  current.now = now_.time_since_epoch().count();
}

// Fisher and Yates' shuffle with Steele's splitmix64, so that a seed gives the same order everywhere.
void scheduler::shuffle_ready() {
  std::vector<task_record*> tasks;
  for (task_record* task = current.ready.take_all(); task != nullptr; task = task->next_ready_) tasks.push_back(task);
  for (std::size_t left = tasks.size(); left > 0; --left) {
    random_ += 0x9e3779b97f4a7c15u;
    std::uint64_t bits = random_;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    std::swap(tasks[left - 1], tasks[(bits ^ (bits >> 31)) % left]);
  }
  for (task_record* task : tasks) current.ready.push_back(*task);
}

statistics scheduler::stats() const noexcept {
  const detail::reactor_counters& world = reactor_.counters();
  statistics s;
  s.tasks_live = live_;
  s.tasks_ready = current.ready.size() + detail::ready_queue::size(current.batch);
  const std::size_t running = current.task != nullptr ? 1 : 0;
  s.tasks_waiting = live_ - s.tasks_ready - running;
  s.in_flight = reactor_.in_flight();
  s.offloads = offloads_;
  s.fibers = fibers_;
  s.most_fibers = most_fibers_;
  s.turns = current.turns;
  s.enters = world.enters;
  s.sqes = world.submitted;
  s.cqes = world.completed;
  s.cq_overflows = world.cq_overflows;
  s.errors_unseen = errors_unseen_;
  return s;
}

scheduler::scheduler(detail::reactor& world, const settings& how)
    : mailbox_(new detail::mailbox(world)),
      reactor_(world),
      shuffled_(how.shuffled),
      random_(how.seed),
      virtual_clock_(how.clock),
      stall_limit_(how.stall_limit),
      on_stall_(how.on_stall),
      watched_(on_stall_) {
  read_clock();
  reactor_.serve_this_thread();
  current.ready.clear();
  current.turns = 0;
  current.boxes = {&mailbox_->place_of_top(), &reactor_.flags(), reactor_.flags_set_by_news()};
  detail::current_scheduler = this;
}

scheduler::~scheduler() {
  mailbox_->drop_reference();
}

// Why the hook goes: what it owns is the caller's of run().
bool scheduler::retire() noexcept {
  detail::current_scheduler = nullptr;
  on_stall_ = {};
  return exposed_;
}

scheduler& this_scheduler() {
  if (detail::current_scheduler == nullptr) throw std::logic_error("this_scheduler() was called outside of run()");
  detail::current_scheduler->mark_exposed();
  return *detail::current_scheduler;
}

post_handle scheduler::handle() noexcept {
  return post_handle(mailbox_);
}

post_handle::post_handle(detail::mailbox* box) noexcept : box_(box) {
  box_->add_reference();
  box_->add_handle();
}
post_handle::post_handle(const post_handle& other) noexcept : post_handle(other.box_) {}
post_handle& post_handle::operator=(post_handle other) noexcept {
  std::swap(box_, other.box_);
  return *this;
}
post_handle::~post_handle() {
  box_->drop_handle();
  box_->drop_reference();
}
bool post_handle::push_work(detail::remote_work& work) const noexcept {
  return box_->push(work);
}

}  // namespace ringlet
