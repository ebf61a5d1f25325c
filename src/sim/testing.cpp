// L6 surface: the simulated world as tests see it; knows the simulated driver.
// SPDX-License-Identifier: MIT
#include <ringlet/testing.hpp>

#include "sim_driver.hpp"

namespace ringlet {

simulation::simulation(fault_plan faults) : driver_(new detail::sim_driver(clock_, std::move(faults))) {}
simulation::~simulation() {
  delete driver_;
}

options simulation::how() noexcept {
  return options().clock(clock_).driver(*driver_);
}

std::pair<tcp_stream, tcp_stream> simulation::connection(std::size_t capacity) {
  const auto [a, b] = driver_->make_connection(capacity);
  return {tcp_stream(unique_fd(a)), tcp_stream(unique_fd(b))};
}

tcp_listener simulation::listener() {
  return tcp_listener(unique_fd(driver_->make_listener()));
}

tcp_stream simulation::connect_to(const tcp_listener& server, std::size_t capacity) {
  return connect_to(server.fd(), capacity);
}

tcp_stream simulation::connect_to(int listening_fd, std::size_t capacity) {
  return tcp_stream(unique_fd(driver_->connect_to(listening_fd, capacity)));
}

unique_fd simulation::blank() {
  return unique_fd(driver_->make_blank());
}

void simulation::script(operation kind, int fd, int result, duration after) {
  driver_->script(kind, fd, result, after);
}

void simulation::reset(const tcp_stream& end) {
  driver_->reset(end.fd());
}

unsigned simulation::asked(operation kind) const noexcept {
  return driver_->asked(kind);
}

}  // namespace ringlet
