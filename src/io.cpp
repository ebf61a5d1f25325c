// L4 io: requests for reading and writing; knows the driver's terms.
// SPDX-License-Identifier: MIT
#include <ringlet/io.hpp>

namespace ringlet::detail {
transfer_awaiter::transfer_awaiter(io_code code, int fd, const void* buffer, std::size_t size) noexcept
    : single_op({code, fd, buffer, request_length(size), 0, own_position}) {}

}  // namespace ringlet::detail
