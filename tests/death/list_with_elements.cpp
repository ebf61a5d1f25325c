// aborts with: a list was destroyed with elements in it
#include <ringlet/detail/intrusive.hpp>

struct element : ringlet::detail::list_links {};

int main() {
  element one;
  ringlet::detail::intrusive_list<element> list;
  list.push_back(one);
}
