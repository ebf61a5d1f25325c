// aborts with: a task_local was bound outside of a task
#include <ringlet/task_local.hpp>

int main() {
  const ringlet::task_local<int> number;
  const ringlet::task_local<int>::binding here(number, 1);
}
