// aborts with: a stackful_generator was used while its function ran
#include "simulated.hpp"

#include <ringlet/stackful_generator.hpp>

using namespace ringlet;

int main() {
  stackful_generator<int>* itself = nullptr;
  stackful_generator<int> numbers([&](yielder<int>& yield) { yield(*itself->next()); });
  itself = &numbers;
  numbers.next();
}
