// L5 services: the tracer as people see it; knows its recorder.
// SPDX-License-Identifier: MIT
#include <ringlet/tracer.hpp>

#include "trace_recorder.hpp"

namespace ringlet {

tracer::tracer(std::size_t most_events) : recorder_(new detail::trace_recorder(most_events)) {}
tracer::~tracer() {
  delete recorder_;
}

void tracer::stop() noexcept {
  recorder_->stop();
}

std::vector<trace_event> tracer::events() const {
  return recorder_->events();
}

std::uint64_t tracer::dropped() const noexcept {
  return recorder_->dropped();
}

std::string tracer::title(std::uint64_t task) const {
  return recorder_->title(task);
}

}  // namespace ringlet
