// says: may not live as long as the child: hand over a value, or borrowed(x)
#include <ringlet/nursery.hpp>

#include <string_view>

using namespace ringlet;

task<> work(std::string_view);

task<> body(nursery& n, std::string_view text) {
#if defined(BROKEN)
  n.spawn(work, text);
#else
  n.spawn(work, borrowed(text));
#endif
  co_return;
}
