// L0 base: version, compiler facts and feature switches; knows only the preprocessor.
// SPDX-License-Identifier: MIT
#pragma once

#if __cplusplus < 202002L
#error "ringlet needs C++20: compile with -std=c++20 or newer"
#endif

#define RINGLET_VERSION_MAJOR 0
#define RINGLET_VERSION_MINOR 1
#define RINGLET_VERSION_PATCH 0

// Why: g++ 12 destroys closures with non-trivial captures twice when they are temporaries of a co_await expression.
// Functions meant to be awaited refuse such temporaries on that compiler; see docs/lifetimes.md.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#define RINGLET_CLOSURE_BUG 1
#else
#define RINGLET_CLOSURE_BUG 0
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RINGLET_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define RINGLET_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define RINGLET_ASAN 1
#endif
#ifndef RINGLET_ASAN
#define RINGLET_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define RINGLET_TSAN 1
#endif
#ifndef RINGLET_TSAN
#define RINGLET_TSAN 0
#endif
