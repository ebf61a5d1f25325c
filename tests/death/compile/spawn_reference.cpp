// says: for a parameter by reference that is not const, hand over std::ref(x)
#include <ringlet/nursery.hpp>

#include <functional>

using namespace ringlet;

task<> count_in(int&);

task<> body(nursery& n) {
  int number = 0;
#if defined(BROKEN)
  n.spawn(count_in, number);
#else
  n.spawn(count_in, std::ref(number));
#endif
  co_return;
}
