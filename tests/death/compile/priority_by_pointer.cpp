// says: a priority_queue compares by a Less(): a class with operator(), not a pointer to a function
#include <ringlet/queue.hpp>

using namespace ringlet;

struct later_first {
  bool operator()(int a, int b) const { return b < a; }
};

void body() {
#if defined(BROKEN)
  priority_queue<int, bool (*)(int, int)> q;
#else
  priority_queue<int, later_first> q;
#endif
  q.try_put(1);
}
