// L5 services: opening, reading, writing and syncing files, step by step; knows the driver and the system's flags.
// SPDX-License-Identifier: MIT
#include <ringlet/file.hpp>

#include <ringlet/detail/added_at_end.hpp>

#include <cerrno>
#include <limits>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

namespace ringlet {
namespace {

constexpr bool has(file_mode all, file_mode one) noexcept {
  return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}

int flags_of(file_mode mode) {
  const bool writes = has(mode, file_mode::write | file_mode::append);
  const bool reads = has(mode, file_mode::read);
  if (!reads && !writes) throw std::invalid_argument("file::open: the mode neither reads nor writes");
  const bool truncates = has(mode, file_mode::truncate);
  if (truncates && !writes) throw std::invalid_argument("file::open: the mode empties the file and does not write");
  int flags = O_CLOEXEC | O_NOCTTY | (!writes ? O_RDONLY : reads ? O_RDWR : O_WRONLY);
  if (has(mode, file_mode::append)) flags |= O_APPEND;
  if (has(mode, file_mode::create)) flags |= O_CREAT;
  if (has(mode, file_mode::exclusive)) flags |= O_CREAT | O_EXCL;
  if (truncates) flags |= O_TRUNC;
  return flags;
}

}  // namespace

namespace detail {

open_awaiter::open_awaiter(std::string path, int flags, std::uint32_t permissions) noexcept
    : io_op({io_code::open, AT_FDCWD, nullptr, permissions, static_cast<std::uint32_t>(flags)}),
      path_(std::move(path)) {}

file open_awaiter::await_resume() {
  return file(unique_fd(take_result()));
}

os_error open_awaiter::make_error(int error) const {
  return os_error("open", path_, error);
}

file_transfer::file_transfer(io_code code, int fd, std::uint64_t place, const void* buffer, std::size_t size,
                             std::size_t* done) noexcept
    : io_op({code, fd, buffer, request_length(size), 0, place}),
      buffer_(static_cast<const std::byte*>(buffer)),
      size_(size),
      place_(place),
      done_(done) {
  ask_below(any_result);
}

// Why the check: the largest places are no places, and one of them means the descriptor's own position.
bool file_transfer::await_ready() noexcept {
  if (done_ != nullptr) *done_ = 0;
  if (refuse_if_cancelled()) return true;
  constexpr std::uint64_t end_of_places = std::numeric_limits<std::int64_t>::max();
  const bool possible = place_ <= end_of_places && size_ <= end_of_places - place_;
  if (!possible) end_with(-EINVAL);
  return !possible;
}

bool file_transfer::more_to_do(int result) noexcept {
  if (result <= 0) return false;
  transferred_ += static_cast<std::size_t>(result);
  if (done_ != nullptr) *done_ = transferred_;
  ask_for_rest();
  return transferred_ < size_;
}

void file_transfer::ask_for_rest() noexcept {
  request_.address = buffer_ + transferred_;
  request_.length = request_length(size_ - transferred_);
  request_.offset = place_ + transferred_;
}

std::size_t file_read::await_resume() const {
  take_result();
  return transferred();
}

// Why EIO: the system took nothing and gave no reason.
void file_write::await_resume() const {
  take_result();
  if (!complete_transfer()) throw make_error(EIO);
}

sync_awaiter::sync_awaiter(int fd, bool data_only) noexcept
    : single_op({io_code::sync, fd, nullptr, 0, data_only ? 1u : 0u}) {}  // IORING_FSYNC_DATASYNC

}  // namespace detail

detail::open_awaiter file::open(std::string path, file_mode mode, unsigned permissions) {
  if (path.find('\0') != std::string::npos) throw std::invalid_argument("file::open: a null character in the path");
  return {std::move(path), flags_of(mode), permissions};
}

std::uint64_t file::size() const {
  struct stat about{};
  if (::fstat(fd(), &about) != 0) throw os_error("fstat", fd(), errno);
  return static_cast<std::uint64_t>(about.st_size);
}

task<std::size_t> file_reader::read_some(std::span<std::byte> to) {
  const std::size_t count = co_await file_->read_at(place_, to);
  place_ += count;
  co_return count;
}

task<> file_writer::write_all(std::span<const std::byte> from) {
  std::size_t sent = 0;
  co_await write_all(from, sent);
}

task<> file_writer::write_all(std::string_view from) {
  return write_all(std::as_bytes(std::span(from)));
}

// However the write ends, the next one begins behind what is written.
task<> file_writer::write_all(std::span<const std::byte> from, std::size_t& sent) {
  sent = 0;
  const std::uint64_t place = place_;
  const detail::added_at_end behind_it(place_, sent);
  co_await file_->write_at(place, from, sent);
}

}  // namespace ringlet
