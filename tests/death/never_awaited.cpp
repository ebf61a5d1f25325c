// aborts with: this task was destroyed without being awaited
// Only the strict build looks for that: this program is built with the few sources that it needs, all of them strict.
#include <ringlet/task.hpp>

ringlet::task<> forgotten() {
  co_return;
}

int main() {
  const auto t = forgotten();
}
