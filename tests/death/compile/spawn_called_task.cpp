// says: spawn takes a function and its arguments, and calls it itself
#include <ringlet/nursery.hpp>

using namespace ringlet;

task<> work(int);

task<> body(nursery& n) {
#if defined(BROKEN)
  n.spawn(work(1));
#else
  n.spawn(work, 1);
#endif
  co_return;
}
