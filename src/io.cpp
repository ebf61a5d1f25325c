// L4 io: requests for reading and writing; knows the driver's terms.
// SPDX-License-Identifier: MIT
#include <ringlet/io.hpp>

#include <algorithm>

namespace ringlet::detail {
namespace {

// Why: the kernel transfers less than 2 GiB at a time.
constexpr std::size_t largest_transfer = 0x7ffff000;

constexpr std::uint64_t own_position = ~std::uint64_t{0};

}  // namespace

transfer_awaiter::transfer_awaiter(io_code code, int fd, const void* buffer, std::size_t size) noexcept
    : single_op({code, fd, buffer, static_cast<std::uint32_t>(std::min(size, largest_transfer)), own_position, 0}) {}

}  // namespace ringlet::detail
