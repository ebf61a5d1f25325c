// L0 base: tells `cancelled` from other exceptions; knows the C++ ABI's exception header.
// SPDX-License-Identifier: MIT
#include <ringlet/detail/outcome.hpp>

#include <cxxabi.h>
#include <typeinfo>

namespace ringlet::detail {

void destroy_error(std::exception_ptr& error) noexcept {
  error.~exception_ptr();
}

bool handling_cancelled() noexcept {
  const std::type_info* type = abi::__cxa_current_exception_type();
  return type != nullptr && *type == typeid(cancelled);
}

}  // namespace ringlet::detail
