// Tests of unix-domain sockets: their files and names, connections, and descriptors that go through them.
#include "process.hpp"

#include <array>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace processes;

namespace {

endpoint at(const std::string& path) {
  return endpoint("unix:" + path);
}

unsigned permissions(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

bool exists(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0;
}

bool closes_on_exec(int fd) {
  return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/// The errno value with which binding fails; 0 when it works.
int bind_failure(const endpoint& where) {
  try {
    unix_listener::bind(where);
  } catch (const os_error& e) {
    return e.code().value();
  }
  return 0;
}

/// A socket bound outside of any loop, which nobody unlinks.
unique_fd plain_bind(const endpoint& where, int type = SOCK_STREAM) {
  unique_fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), where.data(), static_cast<socklen_t>(where.size())) == 0);
  return fd;
}

class umask_of {
 public:
  explicit umask_of(mode_t mask) : before_(::umask(mask)) {}
  umask_of(const umask_of&) = delete;
  umask_of& operator=(const umask_of&) = delete;
  ~umask_of() { ::umask(before_); }

 private:
  mode_t before_;
};

task<> expect_bytes(unix_stream& from, std::string expected) {
  std::string got(expected.size(), '\0');
  co_await from.read_exactly(std::as_writable_bytes(std::span(got)));
  CHECK(got == expected);
}

/// Sends a byte with these descriptors, by hand.
void send_several(int to, const std::vector<int>& fds) {
  std::array<std::byte, 256> control{};
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  REQUIRE(::sendmsg(to, &message, 0) == 1);
}

}  // namespace

// --- Files and names

TEST_CASE("unix: a client and a listener at a path talk, and know their addresses") {
  in_time([]() -> task<> {
    const folder place;
    const endpoint where = at(place / "talk");
    unix_listener listener = unix_listener::bind(where);
    unix_stream client = co_await unix_stream::connect(where);
    unix_stream server = co_await listener.accept();
    co_await client.write_all("hello");
    co_await expect_bytes(server, "hello");
    co_await server.write_all("and back");
    co_await expect_bytes(client, "and back");
    CHECK(listener.local() == where);
    CHECK(client.peer() == where);
    CHECK(server.local() == where);
    CHECK(client.local().host().empty());
  });
}

TEST_CASE("unix: the file is for this user only unless more is asked for, and gone when the listener is") {
  const folder place;
  const std::string path = place / "file";
  const umask_of none(0);
  {
    const unix_listener listener = unix_listener::bind(at(path));
    CHECK(permissions(path) == 0600);
  }
  CHECK_FALSE(exists(path));
  {
    const unix_listener listener = unix_listener::bind(at(path), unix_listen_options().mode(0660));
    CHECK(permissions(path) == 0660);
  }
  CHECK_FALSE(exists(path));
}

TEST_CASE("unix: close() removes the file, and ends an accept") {
  in_time([]() -> task<> {
    const folder place;
    const std::string path = place / "closed";
    unix_listener listener = unix_listener::bind(at(path));
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await expect_error(EBADF, [&]() -> task<> { co_await listener.accept(); }); });
      co_await yield_now();
      co_await listener.close();
    });
    CHECK_FALSE(exists(path));
    CHECK(listener.fd() == -1);
    co_await listener.close();
    co_await expect_error(ENOENT, [&]() -> task<> { co_await unix_stream::connect(at(path)); });
  });
}

TEST_CASE("unix: a listener that has moved still removes its file, once") {
  const folder place;
  const std::string path = place / "moved";
  unix_listener first = unix_listener::bind(at(path));
  {
    const unix_listener second = std::move(first);
    CHECK(exists(path));
  }
  CHECK_FALSE(exists(path));
}

TEST_CASE("unix: a path of 107 bytes works, and one of 108 is refused before anything is made") {
  in_time([]() -> task<> {
    const folder place;
    const std::string start = place / "";
    const std::string longest = start + std::string(107 - start.size(), 'p');
    unix_listener listener = unix_listener::bind(at(longest));
    const unix_stream client = co_await unix_stream::connect(at(longest));
    const unix_stream server = co_await listener.accept();
    CHECK(client.peer().host() == longest);
    CHECK_THROWS_AS(at(longest + "p"), std::invalid_argument);
  });
}

TEST_CASE("unix: a socket that a crash left behind is replaced") {
  in_time([]() -> task<> {
    const folder place;
    const endpoint where = at(place / "stale");
    plain_bind(where).reset();
    co_await expect_error(ECONNREFUSED, [&]() -> task<> { co_await unix_stream::connect(where); });
    unix_listener listener = unix_listener::bind(where);
    const unix_stream client = co_await unix_stream::connect(where);
    const unix_stream server = co_await listener.accept();
  });
}

TEST_CASE("unix: where somebody answers, binding is an error that names the path, and the other one stays") {
  in_time([]() -> task<> {
    const folder place;
    const std::string path = place / "taken";
    unix_listener first = unix_listener::bind(at(path));
    std::string said;
    try {
      unix_listener::bind(at(path));
    } catch (const os_error& e) {
      said = e.what();
    }
    CHECK(said == "bind unix:" + path + ": address already in use");
    // The probe has left a connection that is at its end.
    const unix_stream probe = co_await first.accept();
    const unix_stream client = co_await unix_stream::connect(at(path));
    const unix_stream server = co_await first.accept();
  });
}

TEST_CASE("unix: a listener that is too busy to answer is not taken for one that has gone") {
  const folder place;
  const endpoint where = at(place / "busy");
  const unique_fd listener = plain_bind(where);
  REQUIRE(::listen(listener.get(), 0) == 0);
  const unique_fd client = plain_connect(where);
  CHECK(bind_failure(where) == EADDRINUSE);
  CHECK(exists(where.host()));
}

TEST_CASE("unix: files, folders, links and sockets of other types in the way are left alone") {
  const folder place;
  write_file(place / "file", "contents");
  CHECK(bind_failure(at(place / "file")) == EADDRINUSE);
  CHECK(contents(place / "file") == "contents");
  std::filesystem::create_directory(place / "folder");
  CHECK(bind_failure(at(place / "folder")) == EADDRINUSE);
  plain_bind(at(place / "stale")).reset();
  std::filesystem::create_symlink(place / "stale", place / "link");
  CHECK(bind_failure(at(place / "link")) == EADDRINUSE);
  CHECK(exists(place / "link"));
  CHECK(exists(place / "stale"));
  const unique_fd datagrams = plain_bind(at(place / "datagrams"), SOCK_DGRAM);
  CHECK(bind_failure(at(place / "datagrams")) == EADDRINUSE);
  CHECK(exists(place / "datagrams"));
  CHECK(bind_failure(at(place / "no/such/folder")) == ENOENT);
}

TEST_CASE("unix: a stale socket of another user is left alone") {
  if (::geteuid() != 0) return kit::skip("only root can make a file another user's");
  const folder place;
  const endpoint where = at(place / "foreign");
  plain_bind(where).reset();
  REQUIRE(::lchown(where.host().c_str(), 65534, 65534) == 0);
  CHECK(bind_failure(where) == EADDRINUSE);
  CHECK(exists(where.host()));
}

TEST_CASE("unix: a listener does not remove what has taken its file's place") {
  const folder place;
  const std::string path = place / "place";
  {
    const unix_listener first = unix_listener::bind(at(path));
    REQUIRE(::rename(path.c_str(), (place / "aside").c_str()) == 0);
    write_file(path, "somebody else's");
  }
  CHECK(contents(path) == "somebody else's");
}

TEST_CASE("unix: an abstract name has no file, is taken while it is listened on, and free afterwards") {
  in_time([]() -> task<> {
    const std::string name = "@ringlet-test-" + std::to_string(::getpid());
    {
      unix_listener listener = unix_listener::bind(at(name));
      CHECK_FALSE(exists(name));
      CHECK(bind_failure(at(name)) == EADDRINUSE);
      const unix_stream client = co_await unix_stream::connect(at(name));
      const unix_stream server = co_await listener.accept();
      CHECK(client.peer() == at(name));
    }
    CHECK(bind_failure(at(name)) == 0);
  });
}

TEST_CASE("unix: an address of another family is an error of the call") {
  const endpoint tcp("localhost", 1);
  CHECK(bind_failure(tcp) == EAFNOSUPPORT);
  CHECK_THROWS_AS(unix_stream::connect(tcp), os_error);
}

// --- Connections

TEST_CASE("unix: a connect waits where the queue is full, and can be cancelled") {
  in_time([]() -> task<> {
    const folder place;
    const endpoint where = at(place / "full");
    const unique_fd listener = plain_bind(where);
    REQUIRE(::listen(listener.get(), 0) == 0);
    const unique_fd first = plain_connect(where);
    const auto second = co_await move_on_after(20ms, unix_stream::connect(where));
    CHECK_FALSE(second);
  });
}

TEST_CASE("unix: whatever makes a descriptor, programs that are started do not inherit it") {
  in_time([]() -> task<> {
    const folder place;
    unix_listener listener = unix_listener::bind(at(place / "exec"));
    const unix_stream client = co_await unix_stream::connect(at(place / "exec"));
    const unix_stream server = co_await listener.accept();
    auto [one, other] = unix_stream::pair();
    co_await one.send_fd(client.fd());
    const unique_fd received = co_await other.receive_fd();
    for (const int fd : {listener.fd(), client.fd(), server.fd(), one.fd(), other.fd(), received.get()}) {
      CHECK(closes_on_exec(fd));
    }
  });
}

TEST_CASE("unix: a peer's credentials are those of its process") {
  auto [one, other] = unix_stream::pair();
  CHECK(one.peer_credentials().pid == ::getpid());
  CHECK(one.peer_credentials().user == ::geteuid());
  CHECK(one.peer_credentials().group == ::getegid());
}

// --- Descriptors

TEST_CASE("send_fd: the peer has the same open file, in the order of the bytes around it") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    pipe_ends p = plain_pipe();
    co_await one.write_all("before");
    co_await one.send_fd(p.write.get());
    co_await one.write_all("after");
    co_await one.close();
    p.write.reset();
    co_await expect_bytes(other, "before");
    unique_fd received = co_await other.receive_fd();
    co_await expect_bytes(other, "after");
    for (int again = 0; again < 2; ++again) {
      const unique_fd none = co_await other.receive_fd();
      CHECK_FALSE(none);
    }
    REQUIRE(::write(received.get(), "x", 1) == 1);
    received.reset();
    std::array<char, 4> out{};
    CHECK(::read(p.read.get(), out.data(), out.size()) == 1);
    CHECK(::read(p.read.get(), out.data(), out.size()) == 0);
  });
}

TEST_CASE("receive_fd: waits for a descriptor that comes later") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    unix_stream& sender = one;
    const pipe_ends p = plain_pipe();
    unique_fd received;
    auto receive = [&, &from = other]() -> task<> { received = co_await from.receive_fd(); };
    auto send = [&]() -> task<> {
      co_await sleep_for(10ms);
      co_await sender.send_fd(p.read.get());
    };
    co_await when_all(receive(), send());
    CHECK(received);
  });
}

TEST_CASE("receive_fd: a byte without a descriptor, or with several, is an error, and none stays open") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    unix_stream& from = other;
    const pipe_ends p = plain_pipe();
    const auto before = open_descriptors();
    const auto receive = [&]() -> task<> { co_await from.receive_fd(); };
    co_await one.write_all("x");
    co_await expect_error(EBADMSG, receive);
    for (const std::size_t count : {2u, 3u, 10u}) {
      send_several(one.fd(), std::vector<int>(count, p.read.get()));
      co_await expect_error(EBADMSG, receive);
      CHECK(open_descriptors() == before);
    }
    const auto as_value = [&]() -> task<std::error_code> {
      auto outcome = co_await as_result(from.receive_fd());
      co_return outcome ? std::error_code() : outcome.error();
    };
    co_await one.write_all("x");
    const std::error_code told = co_await as_value();
    CHECK(told == std::errc::bad_message);
    co_await one.send_fd(p.read.get());
    const unique_fd at_last = co_await from.receive_fd();
    CHECK(at_last);
  });
}

TEST_CASE("receive_fd: descriptors that nobody receives, or that other reads pass by, do not stay open") {
  in_time([]() -> task<> {
    const auto before = open_descriptors();
    {
      auto [one, other] = unix_stream::pair();
      const pipe_ends p = plain_pipe();
      co_await one.send_fd(p.read.get());
      co_await one.send_fd(p.read.get());
      std::array<std::byte, 1> byte;
      co_await other.read_exactly(byte);
    }
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("receive_fd: where this process may have no more descriptors, it is EMFILE") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    unix_stream& from = other;
    co_await one.send_fd(one.fd());
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none = before;
    none.rlim_cur = 1;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const int error = co_await error_of([&]() -> task<> { co_await from.receive_fd(); });
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(error == EMFILE);
  });
}

TEST_CASE("receive_fd: a cancelled one loses nothing") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    const pipe_ends p = plain_pipe();
    for (int round = 0; round < 20; ++round) {
      const auto early = co_await move_on_after(1ms, other.receive_fd());
      CHECK_FALSE(early);
      co_await one.send_fd(p.read.get());
      const unique_fd received = co_await other.receive_fd();
      CHECK(received);
    }
  });
}

TEST_CASE("send_fd: waits for room, can be cancelled, and then nothing was sent") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    const std::size_t queued = fill(one.fd());
    const bool sent = co_await move_on_after(20ms, one.send_fd(one.fd()));
    CHECK_FALSE(sent);
    co_await one.close();
    std::vector<std::byte> all(queued + 10);
    std::size_t got = 0;
    while (const std::size_t more = co_await other.read_some(std::span(all).subspan(got))) got += more;
    CHECK(got == queued);
  });
}

TEST_CASE("send_fd: a descriptor that is not open, and a peer that has gone, are errors") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    unix_stream& to = one;
    co_await expect_error(EBADF, [&]() -> task<> { co_await to.send_fd(19'999); });
    co_await other.close();
    co_await expect_error(EPIPE, [&]() -> task<> { co_await to.send_fd(to.fd()); });
    co_await to.close();
    co_await expect_error(EBADF, [&]() -> task<> { co_await to.send_fd(0); });
    co_await expect_error(EBADF, [&]() -> task<> { co_await to.receive_fd(); });
  });
}

TEST_CASE("receive_fd: is busy while another task reads, and after receive(), which reads ahead") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    unix_stream& from = other;
    const auto receive = [&]() -> task<> { co_await from.receive_fd(); };
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> { co_await expect_error(EBADF, receive); });
      co_await yield_now();
      co_await expect_error(EBUSY, receive);
      co_await from.close();
    });
    auto [third, fourth] = unix_stream::pair();
    co_await third.write_all("x");
    const chunk ahead = co_await fourth.receive();
    const int error = co_await error_of([&, &late = fourth]() -> task<> { co_await late.receive_fd(); });
    CHECK(error == EBUSY);
  });
}

TEST_CASE("receive_fd: closing ends one that waits, also as a value") {
  in_time([]() -> task<> {
    auto [one, other] = unix_stream::pair();
    unix_stream& from = other;
    std::error_code told;
    co_await with_nursery([&](nursery& n) -> task<> {
      n.spawn([&]() -> task<> {
        const auto outcome = co_await as_result(from.receive_fd());
        if (!outcome) told = outcome.error();
      });
      co_await sleep_for(5ms);
      co_await from.close();
    });
    CHECK(told == std::errc::bad_file_descriptor);
  });
}
