// says: spawn takes a function and its arguments, and calls it itself
#include <ringlet/nursery.hpp>

using namespace ringlet;

task<> body(nursery& n, int number) {
  const auto work = [number]() -> task<int> { co_return number; };
#if defined(BROKEN)
  n.spawn(name("work"), work());
#else
  n.spawn(name("work"), work);
#endif
  co_return;
}
