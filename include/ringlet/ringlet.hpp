// L6 surface: everything; knows every layer.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/as_result.hpp>
#include <ringlet/cancel.hpp>
#include <ringlet/channel.hpp>
#include <ringlet/chunk.hpp>
#include <ringlet/config.hpp>
#include <ringlet/endpoint.hpp>
#include <ringlet/error.hpp>
#include <ringlet/event.hpp>
#include <ringlet/fd.hpp>
#include <ringlet/generator.hpp>
#include <ringlet/io.hpp>
#include <ringlet/line_reader.hpp>
#include <ringlet/mt_channel.hpp>
#include <ringlet/mutex.hpp>
#include <ringlet/nursery.hpp>
#include <ringlet/offload.hpp>
#include <ringlet/resolve.hpp>
#include <ringlet/result.hpp>
#include <ringlet/run.hpp>
#include <ringlet/run_on_threads.hpp>
#include <ringlet/scheduler.hpp>
#include <ringlet/semaphore.hpp>
#include <ringlet/serve.hpp>
#include <ringlet/sleep.hpp>
#include <ringlet/stream.hpp>
#include <ringlet/task.hpp>
#include <ringlet/tcp_listener.hpp>
#include <ringlet/tcp_stream.hpp>
#include <ringlet/thread_pool.hpp>
#include <ringlet/time.hpp>
#include <ringlet/timeout.hpp>
#include <ringlet/when_all.hpp>
#include <ringlet/when_any.hpp>
