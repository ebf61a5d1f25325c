// L1 coroutine types: task_local, a value for a task and all that it spawns; knows only the running task's record.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/detail/bound_value.hpp>

#include <concepts>
#include <utility>

namespace ringlet {

/// A name for a value that a task has, as Python's ContextVar is: to know in the depth of what is called whose request
/// it is. A task sees the value that it has bound last, or else what the task that spawned it saw at that moment,
/// whatever becomes of that binding later; or else the default.
/// Bindings cost nothing until they are used: awaits do not know of them, and to spawn a task is a look at one pointer.
/// threads: any, each loop with its own bindings; a function on a thread pool sees the default.
template <class T>
class task_local {
 public:
  class binding;

  /// The value where nothing is bound.
  explicit task_local(T default_value) : default_(std::move(default_value)) {}
  /// The same, with a T() for that.
  task_local()
    requires std::default_initializable<T>
      : default_() {}
  task_local(const task_local&) = delete;
  task_local& operator=(const task_local&) = delete;

  /// What the running task sees; outside of tasks the default. Looks through all values that are bound for the task.
  /// lifetime: of a value that this task has bound, as its binding; of an inherited one, as the task.
  const T& get() const noexcept {
    const detail::bound_value* found = detail::bound_value::find(key_);
    return found != nullptr ? static_cast<const held&>(*found).value : default_;
  }

 private:
  class held final : public detail::bound_value {
   public:
    held(std::uint64_t key, T given) : bound_value(key), value(std::move(given)) {}
    const T value;
  };

  T default_;
  std::uint64_t key_ = detail::bound_value::new_key();
};

/// While it lives, the running task and what it spawns see this value: `task_local<int>::binding here(request, 5);`
/// lifetime: ends in the task in which it began, the last one first; so it is a local variable, and one that does not
/// live across a co_yield. The value lives until the last task has ended that sees it.
template <class T>
class [[nodiscard]] task_local<T>::binding {
 public:
  /// Hides what `name` was bound to before.
  binding(const task_local& name, T value) : held_(*new held(name.key_, std::move(value))) { held_.begin(); }
  binding(const binding&) = delete;
  binding& operator=(const binding&) = delete;
  ~binding() { held_.end(); }

 private:
  held& held_;
};

}  // namespace ringlet
