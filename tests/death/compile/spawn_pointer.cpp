// says: may not live as long as the child: hand over a value, or borrowed(x)
#include <ringlet/nursery.hpp>

using namespace ringlet;

task<> work(int*);

task<> body(nursery& n, int& number) {
#if defined(BROKEN)
  n.spawn(name("work"), work, &number);
#else
  n.spawn(name("work"), work, borrowed(&number));
#endif
  co_return;
}
