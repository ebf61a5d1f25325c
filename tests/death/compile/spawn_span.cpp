// says: may not live as long as the child: hand over a value, or borrowed(x)
#include <ringlet/nursery.hpp>

#include <span>

using namespace ringlet;

task<> work(std::span<const int>);

task<> body(nursery& n, std::span<const int> numbers) {
#if defined(BROKEN)
  n.spawn(work, numbers);
#else
  n.spawn(work, borrowed(numbers));
#endif
  co_return;
}
