// L4 io: what the kernel has and the headers of liburing 2.3 do not name yet; knows liburing.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include <liburing.h>

namespace ringlet::detail::abi {

// Why: the header of the same name in linux/ puts the buffers of a ring 8 bytes further on when read as C++.
static_assert(offsetof(io_uring_buf_ring, bufs) == 0, "include <liburing.h>, never <linux/io_uring.h>");

// Operations, and the first kernel that has each.
inline constexpr unsigned op_read_multishot = 49;    // 6.7
inline constexpr unsigned op_waitid = 50;            // 6.7
inline constexpr unsigned op_futex_wait = 51;        // 6.7
inline constexpr unsigned op_futex_wake = 52;        // 6.7
inline constexpr unsigned op_fixed_fd_install = 54;  // 6.8

// Features of a ring, bits of io_uring_params::features, and the first kernel that has each.
inline constexpr std::uint32_t feature_registered_ring = 1U << 13;      // 6.3
inline constexpr std::uint32_t feature_bundles = 1U << 14;              // 6.10
inline constexpr std::uint32_t feature_minimum_wait = 1U << 15;         // 6.12
inline constexpr std::uint32_t feature_transfer_attributes = 1U << 16;  // 6.14
inline constexpr std::uint32_t feature_no_iowait = 1U << 17;            // 6.15

// Flag of io_uring_buf_reg, which 2.3 calls padding: one buffer may serve several completions.
inline constexpr std::uint16_t buffer_ring_incremental = 2;  // 6.12

}  // namespace ringlet::detail::abi
