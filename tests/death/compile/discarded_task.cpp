// says: unused|ignoring
#include <ringlet/task.hpp>

using namespace ringlet;

task<> work();

task<> body() {
#if defined(BROKEN)
  work();
#else
  co_await work();
#endif
  co_return;
}
