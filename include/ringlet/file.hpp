// L5 services: file, read and written at any place without blocking the loop; knows the driver.
// SPDX-License-Identifier: MIT
#pragma once

#include <ringlet/fd.hpp>
#include <ringlet/io.hpp>
#include <ringlet/task.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ringlet {

/// What a file is opened for; to be combined with `|`.
enum class file_mode : std::uint8_t {
  read = 1,        ///< what is there
  write = 2,       ///< anywhere, over what is there
  append = 4,      ///< to write, and always at the end, whatever the place
  create = 8,      ///< makes the file if there is none
  exclusive = 16,  ///< makes the file, and fails with EEXIST if there is one
  truncate = 32,   ///< empties it
};

/// Both.
constexpr file_mode operator|(file_mode a, file_mode b) noexcept {
  return static_cast<file_mode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

class file;

namespace detail {

class [[nodiscard]] open_awaiter final : public io_op {
 public:
  open_awaiter(std::string path, int flags, std::uint32_t permissions) noexcept;
  bool await_ready() noexcept { return refuse_if_cancelled(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) noexcept {
    request_.address = path_.c_str();  // Why only now: an awaiter may move before it is awaited
    begin(here);
  }
  file await_resume();
  wait_text describe() const noexcept override { return {"open a file"}; }

 private:
  bool is_transient(int result) const noexcept override { return is_interruption(result); }
  os_error make_error(int error) const override;

  std::string path_;
};

/// Reads or writes at a place until all is done, or the file ends.
class [[nodiscard]] file_transfer : public io_op {
 public:
  bool await_ready() noexcept;
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) noexcept {
    begin(here);
  }

 protected:
  /// done: kept up to date, also when the transfer fails; may be null.
  file_transfer(io_code code, int fd, std::uint64_t place, const void* buffer, std::size_t size,
                std::size_t* done) noexcept;

  std::size_t transferred() const noexcept { return transferred_; }
  bool complete_transfer() const noexcept { return transferred_ == size_; }

 private:
  bool more_to_do(int result) noexcept override;
  void ask_for_rest() noexcept;

  const std::byte* buffer_;
  std::size_t size_;
  std::uint64_t place_;
  std::size_t transferred_ = 0;
  std::size_t* done_;
};

class [[nodiscard]] file_read final : public file_transfer {
 public:
  file_read(int fd, std::uint64_t place, std::span<std::byte> to) noexcept
      : file_transfer(io_code::read, fd, place, to.data(), to.size(), nullptr) {}
  std::size_t await_resume() const;
};

class [[nodiscard]] file_write final : public file_transfer {
 public:
  file_write(int fd, std::uint64_t place, std::span<const std::byte> from, std::size_t* done) noexcept
      : file_transfer(io_code::write, fd, place, from.data(), from.size(), done) {}
  void await_resume() const;
};

class [[nodiscard]] sync_awaiter final : public single_op {
 public:
  sync_awaiter(int fd, bool data_only) noexcept;
  void await_resume() const { take_result(); }
};

}  // namespace detail

/// A file that is open. Any number of operations may be in flight on it; what they do to the same bytes at the same
/// time is in no order. threads: the loop's. lifetime: closes at its end; no operation may be in flight then.
class file {
 public:
  /// None: fd() is -1.
  file() = default;
  /// Takes over a descriptor of a file.
  explicit file(unique_fd fd) noexcept : fd_(std::move(fd)) {}

  /// Opens the file at `path`; what waits, such as a pipe that nobody writes to, does not keep the loop waiting. Not
  /// given to child processes. permissions: of a file that is made, less the process's umask.
  /// errors: os_error ("open PATH: no such file or directory"); std::invalid_argument, from the call itself, for a mode
  /// that neither reads nor writes, or empties without writing, and a path with a null character.
  /// cancel: safe; a file that was opened is returned, not lost.
  static detail::open_awaiter open(std::string path, file_mode mode = file_mode::read, unsigned permissions = 0666);

  /// Fills `to` from `place` on, counted from the beginning; gives how much was read, which is less only where the file
  /// ends. units: bytes. errors: os_error (EISDIR for a directory). cancel: what was read is lost, and can be read
  /// again. lifetime: `to` outlives the await.
  detail::file_read read_at(std::uint64_t place, std::span<std::byte> to) const noexcept { return {fd(), place, to}; }

  /// Writes all of it from `place` on; what is missing before it becomes zeros. Kept by the system, not yet by the
  /// disk: see sync(). units: bytes. errors: os_error (ENOSPC when the disk is full); part may be written by then.
  /// cancel: likewise; `written` says how much. lifetime: `from` outlives the await.
  detail::file_write write_at(std::uint64_t place, std::span<const std::byte> from) noexcept {
    return {fd(), place, from, nullptr};
  }
  detail::file_write write_at(std::uint64_t place, std::span<const std::byte> from, std::size_t& written) noexcept {
    return {fd(), place, from, &written};
  }
  detail::file_write write_at(std::uint64_t place, std::string_view from) noexcept {
    return write_at(place, std::as_bytes(std::span(from)));
  }

  /// Waits until all that was written is on the disk. errors: os_error. cancel: safe; says nothing of the disk.
  detail::sync_awaiter sync() noexcept { return {fd(), false}; }
  /// The same, but for what is not needed to read the data again, such as times.
  detail::sync_awaiter sync_data() noexcept { return {fd(), true}; }

  /// How long it is now. units: bytes. errors: os_error. suspends: never, for the system knows it.
  std::uint64_t size() const;

  /// Closes now. Twice is no error. lifetime: no operation may be in flight.
  void close() noexcept { fd_.reset(); }

  /// -1 when closed.
  int fd() const noexcept { return fd_.get(); }

 private:
  unique_fd fd_;
};

/// Reads a file from one end to the other, as a stream: for line_reader, copy() and the like. threads: the loop's.
/// lifetime: the file outlives it.
class file_reader {
 public:
  /// place: units: bytes, from the beginning.
  explicit file_reader(const file& from, std::uint64_t place = 0) noexcept : file_(&from), place_(place) {}

  /// Reads what comes next; gives how much, less than `to` holds only where the file ends, and 0 at its end.
  /// errors: os_error. cancel: safe; nothing is passed over. lifetime: `to` outlives the await.
  task<std::size_t> read_some(std::span<std::byte> to);

  /// Where the next bytes are read. units: bytes, from the beginning.
  std::uint64_t place() const noexcept { return place_; }

 private:
  const file* file_;
  std::uint64_t place_;
};

/// Writes a file on and on, as a stream. threads: the loop's. lifetime: the file outlives it.
class file_writer {
 public:
  /// place: units: bytes, from the beginning.
  explicit file_writer(file& to, std::uint64_t place = 0) noexcept : file_(&to), place_(place) {}

  /// Writes everything, behind what was written before. errors: as of file::write_at(). cancel: part may be written by
  /// then; `sent` says how much, and the next write goes on behind it. lifetime: `from` outlives the await.
  task<> write_all(std::span<const std::byte> from);
  task<> write_all(std::span<const std::byte> from, std::size_t& sent);
  task<> write_all(std::string_view from);

  /// Where the next bytes are written; of a file opened to append, only how much it was. units: bytes.
  std::uint64_t place() const noexcept { return place_; }

 private:
  file* file_;
  std::uint64_t place_;
};

}  // namespace ringlet
