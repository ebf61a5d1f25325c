// says: may not live as long as the child: hand over a value, or borrowed(x)
#include <ringlet/nursery.hpp>

using namespace ringlet;

task<> work(const char*);

task<> body(nursery& n) {
#if defined(BROKEN)
  char text[] = "a local array";
  n.spawn(work, text);
#else
  n.spawn(work, "a literal");
#endif
  co_return;
}
