// says: this cannot be awaited
#include <ringlet/task.hpp>

ringlet::task<> body() {
#if defined(BROKEN)
  co_await 5;
#endif
  co_return;
}
