// aborts with: a cancel scope was entered outside of a task
#include <ringlet/detail/task_record.hpp>

int main() {
  ringlet::detail::scope scope;
  scope.enter();
}
