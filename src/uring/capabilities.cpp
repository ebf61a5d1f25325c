// L4 io: asks the kernel what its rings can do, and tells it in words; knows liburing.
// SPDX-License-Identifier: MIT
#include "capabilities.hpp"

#include "abi.hpp"
#include "setup.hpp"

#include <ringlet/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

namespace ringlet::detail {
namespace {

constexpr unsigned entries_to_probe_with = 16;
constexpr int no_descriptor = -1;
constexpr std::uint16_t some_buffer_group = 1;

struct named_operation {
  std::string_view name;
  unsigned opcode;
};

struct named_feature {
  std::string_view name;
  std::uint32_t bit;
};

struct named_ability {
  std::string_view name;
  bool capabilities::* found;
};

constexpr named_operation needed_operations[] = {
    {"read", IORING_OP_READ},         {"write", IORING_OP_WRITE},   {"receive", IORING_OP_RECV},
    {"send", IORING_OP_SEND},         {"accept", IORING_OP_ACCEPT}, {"connect", IORING_OP_CONNECT},
    {"shutdown", IORING_OP_SHUTDOWN}, {"poll", IORING_OP_POLL_ADD}, {"cancel", IORING_OP_ASYNC_CANCEL},
    {"open", IORING_OP_OPENAT},       {"sync", IORING_OP_FSYNC},
};

constexpr named_operation optional_operations[] = {
    {"receive message", IORING_OP_RECVMSG},
    {"send message", IORING_OP_SENDMSG},
    {"send without copying", IORING_OP_SEND_ZC},
    {"send message without copying", IORING_OP_SENDMSG_ZC},
    {"close", IORING_OP_CLOSE},
    {"status of a file", IORING_OP_STATX},
    {"message to a ring", IORING_OP_MSG_RING},
    {"read, multishot", abi::op_read_multishot},
    {"wait for a child", abi::op_waitid},
    {"wait on a futex", abi::op_futex_wait},
    {"wake a futex", abi::op_futex_wake},
    {"install a direct descriptor", abi::op_fixed_fd_install},
};

constexpr named_ability optional_abilities[] = {
    {"accept, multishot", &capabilities::accept_multishot},
    {"receive, multishot", &capabilities::receive_multishot},
    {"buffer rings", &capabilities::buffer_rings},
    {"incremental buffers", &capabilities::incremental_buffers},
};

constexpr named_feature ring_features[] = {
    {"one mapping for both queues", IORING_FEAT_SINGLE_MMAP},
    {"no completion is dropped", IORING_FEAT_NODROP},
    {"requests are copied when submitted", IORING_FEAT_SUBMIT_STABLE},
    {"transfers at the current position", IORING_FEAT_RW_CUR_POS},
    {"rights of the submitter", IORING_FEAT_CUR_PERSONALITY},
    {"waits without a worker thread", IORING_FEAT_FAST_POLL},
    {"polls with 32 bits of events", IORING_FEAT_POLL_32BITS},
    {"submission thread takes any descriptor", IORING_FEAT_SQPOLL_NONFIXED},
    {"time limit in the waiting call", IORING_FEAT_EXT_ARG},
    {"workers are threads of the process", IORING_FEAT_NATIVE_WORKERS},
    {"tagged buffers and files", IORING_FEAT_RSRC_TAGS},
    {"completions can be skipped", IORING_FEAT_CQE_SKIP},
    {"files are looked up late in chains", IORING_FEAT_LINKED_FILE},
    {"registered ring in register calls", abi::feature_registered_ring},
    {"bundles of buffers", abi::feature_bundles},
    {"minimum wait", abi::feature_minimum_wait},
    {"attributes of transfers", abi::feature_transfer_attributes},
    {"idle waiting is not iowait", abi::feature_no_iowait},
};

class open_for_probing {
 public:
  open_for_probing() : ring_(open_ring(entries_to_probe_with)) {}
  open_for_probing(const open_for_probing&) = delete;
  open_for_probing& operator=(const open_for_probing&) = delete;
  ~open_for_probing() { io_uring_queue_exit(&ring_); }

  std::uint32_t features() const { return ring_.features; }
  std::bitset<256> operations();

  /// prepare: (io_uring_sqe*) on no_descriptor. A kernel that knows the request misses the descriptor; one that does
  /// not refuses the request before it looks.
  template <class Prepare>
  bool knows(Prepare prepare);

  bool registers_buffers(std::uint16_t flags);

 private:
  io_uring ring_;
};

std::bitset<256> open_for_probing::operations() {
  std::bitset<256> known;
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  if (probe == nullptr) return known;
  for (int opcode = 0; opcode <= probe->last_op; ++opcode) {
    if (io_uring_opcode_supported(probe, opcode) != 0) known.set(static_cast<std::size_t>(opcode));
  }
  io_uring_free_probe(probe);
  return known;
}

template <class Prepare>
bool open_for_probing::knows(Prepare prepare) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  prepare(sqe);
  io_uring_sqe_set_data64(sqe, 0);
  io_uring_cqe* cqe = nullptr;
  if (io_uring_submit_and_wait(&ring_, 1) < 0 || io_uring_peek_cqe(&ring_, &cqe) < 0) return false;
  const int result = cqe->res;
  io_uring_cqe_seen(&ring_, cqe);
  return result == -EBADF;
}

bool open_for_probing::registers_buffers(std::uint16_t flags) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::unique_ptr<void, void (*)(void*)> memory(std::aligned_alloc(page, page), std::free);
  io_uring_buf_reg request{};
  request.ring_addr = reinterpret_cast<std::uintptr_t>(memory.get());
  request.ring_entries = 8;
  request.bgid = some_buffer_group;
  request.pad = flags;
  if (io_uring_register_buf_ring(&ring_, &request, 0) != 0) return false;
  return io_uring_unregister_buf_ring(&ring_, some_buffer_group) == 0;
}

void ask(open_for_probing& ring, capabilities& found) {
  found.features = ring.features();
  found.operations = ring.operations();
  found.accept_multishot =
      ring.knows([](io_uring_sqe* sqe) { io_uring_prep_multishot_accept(sqe, no_descriptor, nullptr, nullptr, 0); });
  found.receive_multishot = ring.knows([](io_uring_sqe* sqe) {
    io_uring_prep_recv_multishot(sqe, no_descriptor, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = some_buffer_group;
  });
  found.buffer_rings = ring.registers_buffers(0);
  found.incremental_buffers = ring.registers_buffers(abi::buffer_ring_incremental);
}

capabilities::limit limit_of(decltype(RLIMIT_NOFILE) resource) {
  rlimit found{};
  ::getrlimit(resource, &found);
  return {found.rlim_cur, found.rlim_max};
}

bool all_known(const std::bitset<256>& operations) {
  return std::ranges::all_of(needed_operations,
                             [&](const named_operation& needed) { return operations.test(needed.opcode); });
}

// --- Words

std::string line(std::string_view name, std::string_view value) {
  return fmt::format("  {:<40}{}\n", name, value);
}

std::string answer(std::string_view name, bool supported) {
  return line(name, supported ? "yes" : "no");
}

std::string amount(std::uint64_t number) {
  return number == RLIM_INFINITY ? "unlimited" : fmt::format("{}", number);
}

std::string kibibytes(std::uint64_t bytes) {
  return bytes == RLIM_INFINITY ? "unlimited" : fmt::format("{} KiB", bytes / 1024);
}

std::string describe_operations(const capabilities& found) {
  std::string text = "what ringlet needs\n";
  for (const auto& [name, opcode] : needed_operations) text += answer(name, found.operations.test(opcode));
  text += "what it can make use of\n";
  for (const auto& [name, member] : optional_abilities) text += answer(name, found.*member);
  for (const auto& [name, opcode] : optional_operations) text += answer(name, found.operations.test(opcode));
  return text;
}

std::string describe_features(const capabilities& found) {
  std::string text = "features of a ring\n";
  for (const auto& [name, bit] : ring_features) text += answer(name, (found.features & bit) != 0);
  return text;
}

std::string describe_limits(const capabilities& found) {
  return "limits, now and at most\n" +
         line("descriptors", amount(found.descriptors.now) + ", " + amount(found.descriptors.most)) +
         line("locked memory", kibibytes(found.locked_memory.now) + ", " + kibibytes(found.locked_memory.most));
}

}  // namespace

capabilities capabilities::probe() {
  capabilities found;
  found.kernel = ring_environment::read().kernel;
  found.descriptors = limit_of(RLIMIT_NOFILE);
  found.locked_memory = limit_of(RLIMIT_MEMLOCK);
  try {
    open_for_probing ring;
    ask(ring, found);
  } catch (const startup_error& error) {
    found.refusal = error.what();
  }
  return found;
}

bool capabilities::sufficient() const {
  return refusal.empty() && all_known(operations);
}

std::string capabilities::describe() const {
  std::string text = "system\n" + line("kernel", kernel) + line("io_uring", refusal.empty() ? "available" : refusal);
  if (refusal.empty()) text += describe_operations(*this) + describe_features(*this);
  return text + describe_limits(*this);
}

}  // namespace ringlet::detail
