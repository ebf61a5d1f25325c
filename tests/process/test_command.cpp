// Tests of what a command describes: arguments, environment, folder, descriptors, and what is refused.
#include "process.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace processes;

namespace processes {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& text, bool executable) {
  std::ofstream(path) << text;
  if (executable) ::chmod(path.c_str(), 0755);
}

std::string failure_of(task<> body) {
  std::string told = "nothing";
  in_time([&]() -> task<> {
    try {
      co_await std::move(body);
    } catch (const os_error& e) {
      told = e.what();
    }
  });
  return told;
}

std::string failure_of(task<completed> body) {
  return failure_of([](task<completed> inner) -> task<> { co_await std::move(inner); }(std::move(body)));
}

lifeline::ends lifeline::open_ends() {
  int numbers[2];
  REQUIRE(::pipe2(numbers, O_CLOEXEC) == 0);
  return {unique_fd(numbers[0]), unique_fd(numbers[1])};
}

}  // namespace processes

namespace {

std::string output_of(cmd what) {
  std::string out;
  in_time([&]() -> task<> { out = co_await process::check_output(what); });
  return out;
}

}  // namespace

TEST_CASE("cmd: arguments reach the child as they are: blanks, quotes, what a shell would expand, none at all") {
  const std::vector<std::string> odd{"a b", "\"q\" 'r'", "$(id) `id` $HOME ; | & > x", "", "*", "\\n\n", "ü"};
  cmd what("printf", "<%s>");
  what.args(odd);
  std::string expected;
  for (const std::string& each : odd) expected += "<" + each + ">";
  CHECK(output_of(what) == expected);
}

TEST_CASE("sh: the shell is another call, and does expand") {
  CHECK(output_of(sh("for i in 1 2 3; do echo $i; done | tail -n 1")) == "3\n");
}

TEST_CASE("cmd: the environment is the parent's; env() adds and replaces, clear_env() leaves nothing else") {
  ::setenv("RINGLET_A", "from the parent", 1);
  ::setenv("RINGLET_B", "too", 1);
  const std::string print = "echo \"$RINGLET_A,$RINGLET_B,$RINGLET_C\"";
  CHECK(output_of(sh(print)) == "from the parent,too,\n");
  CHECK(output_of(sh(print).env("RINGLET_B", "x=y z").env("RINGLET_C", "").env("RINGLET_C", "c")) ==
        "from the parent,x=y z,c\n");
  CHECK(output_of(cmd("/usr/bin/env").clear_env()) == "");
  CHECK(output_of(cmd("/usr/bin/env").clear_env().env("ONLY", "this")) == "ONLY=this\n");
  ::unsetenv("RINGLET_A");
  ::unsetenv("RINGLET_B");
}

TEST_CASE("cmd: variables with odd values reach the child as they are, and a longer name is another variable") {
  const std::vector<std::string> odd{"",           " ",        "=",         "a=b=c",
                                     "two\nlines", "\xff\xfe", "'\"$(id)`", std::string(100'000, 'v')};
  for (const std::string& value : odd) {
    CHECK(output_of(cmd("/bin/sh", "-c", "printf '<%s>' \"$ODD\"").env("ODD", value)) == "<" + value + ">");
    CHECK(output_of(cmd("/usr/bin/env", "-0").clear_env().env("O D D", value)) ==
          "O D D=" + value + std::string(1, '\0'));
  }
  ::setenv("RINGLET_AB", "long", 1);
  CHECK(output_of(sh("echo $RINGLET_A,$RINGLET_AB").env("RINGLET_A", "short")) == "short,long\n");
  ::unsetenv("RINGLET_AB");
}

TEST_CASE("cmd: refuses what no program can be given") {
  const std::string with_nul("a\0b", 3);
  CHECK_THROWS_AS(cmd(with_nul), std::invalid_argument);
  CHECK_THROWS_AS(cmd(""), std::invalid_argument);
  CHECK_THROWS_AS(cmd("true", with_nul), std::invalid_argument);
  CHECK_THROWS_AS(cmd("true").env("A=B", "c"), std::invalid_argument);
  CHECK_THROWS_AS(cmd("true").env("", "c"), std::invalid_argument);
  CHECK_THROWS_AS(cmd("true").env("A", with_nul), std::invalid_argument);
  CHECK_THROWS_AS(cmd("true").cwd(with_nul), std::invalid_argument);
  CHECK_THROWS_AS(cmd("true").pass_fd(2), std::invalid_argument);
}

TEST_CASE("cmd: what nobody would keep to is an error, and nothing is started") {
  in_time([]() -> task<> {
    const auto refused = [](const cmd& what) -> task<bool> {
      try {
        co_await process::spawn(what);
      } catch (const std::invalid_argument&) {
        co_return true;
      }
      co_return false;
    };
    const bool time_limit = co_await refused(cmd("true").timeout(1h));
    CHECK(time_limit);
    const bool check = co_await refused(cmd("true").check());
    CHECK(check);
    const bool input = co_await refused(cmd("cat").in(stdio::null()).input("lost"));
    CHECK(input);
    bool refused_late = false;
    try {
      co_await process::spawn(cmd("true") | cmd("true").timeout(1h));
    } catch (const std::invalid_argument&) {
      refused_late = true;
    }
    CHECK(refused_late);
    const bool nothing_runs = ::waitpid(-1, nullptr, WNOHANG) == -1;
    CHECK(nothing_runs);
    const bool checks_no_more = co_await refused(cmd("true").check().check(false));
    CHECK_FALSE(checks_no_more);
    const bool to_pipe = co_await refused(cmd("cat").in(stdio::pipe()).input("not lost"));
    CHECK_FALSE(to_pipe);
  });
}

TEST_CASE("cmd: the program is looked for in PATH, an empty element of which is not the current directory") {
  const folder place;
  write_file(place / "ringlet-tool", "#!/bin/sh\necho found\n", true);
  const std::string before = ::getenv("PATH");
  ::setenv("PATH", (before + ":" + place.path()).c_str(), 1);
  CHECK(output_of(cmd("ringlet-tool")) == "found\n");
  ::setenv("PATH", (":" + before + ":").c_str(), 1);
  CHECK(failure_of(process::run(cmd("ringlet-tool").cwd(place.path()))) ==
        "exec ringlet-tool: no such file or directory");
  ::setenv("PATH", before.c_str(), 1);
  CHECK(output_of(cmd(place / "ringlet-tool")) == "found\n");
  CHECK(output_of(cmd("./ringlet-tool").cwd(place.path())) == "found\n");
}

TEST_CASE("cmd: it is the parent's PATH that counts, from its first folder on, passing over what is no program") {
  const folder first, second;
  write_file(first / "plain", "no program");
  write_file(second / "plain", "#!/bin/sh\necho second\n", true);
  std::filesystem::create_directory(first / "folder");
  write_file(second / "folder", "#!/bin/sh\necho second\n", true);
  write_file(first / "both", "#!/bin/sh\necho first\n", true);
  write_file(second / "both", "#!/bin/sh\necho second\n", true);
  write_file(first / "locked", "no program");
  const std::string before = ::getenv("PATH");
  CHECK(failure_of(process::run(cmd("both").env("PATH", first.path()))) == "exec both: no such file or directory");
  ::setenv("PATH", ("/nosuch:" + (first / "plain") + ":" + first.path() + ":" + second.path()).c_str(), 1);
  CHECK(output_of(cmd("plain")) == "second\n");
  CHECK(output_of(cmd("folder")) == "second\n");
  CHECK(output_of(cmd("both")) == "first\n");
  CHECK(failure_of(process::run(cmd("locked"))) == "exec locked: permission denied");
  ::setenv("PATH", ".", 1);
  CHECK(output_of(cmd("both").cwd(first.path())) == "first\n");
  ::unsetenv("PATH");
  CHECK(output_of(cmd("echo", "found")) == "found\n");
  ::setenv("PATH", before.c_str(), 1);
}

TEST_CASE("cmd: cwd is the child's working directory, and only its; a relative one counts from the parent's") {
  const folder place;
  CHECK(output_of(cmd("pwd").cwd(place.path())) == place.path() + "\n");
  const auto before = std::filesystem::current_path();
  CHECK(before != place.path());
  std::filesystem::create_directories(place / "a/b");
  std::filesystem::current_path(place.path());
  CHECK(output_of(cmd("pwd").cwd("a/b")) == (place / "a/b") + "\n");
  CHECK(output_of(cmd("pwd").cwd("a/..")) == place.path() + "\n");
  CHECK(failure_of(process::run(cmd("true").cwd("b"))) == "chdir b: no such file or directory");
  std::filesystem::current_path(before);
  write_file(place / "file", "");
  CHECK(failure_of(process::run(cmd("true").cwd(place / "file"))) == "chdir " + (place / "file") + ": not a directory");
}

TEST_CASE("run: what cannot be started is an error that names the step and the file, and leaves nothing behind") {
  const folder place;
  write_file(place / "plain", "no program");
  write_file(place / "interpreter", "#!/nosuch/sh\n", true);
  CHECK(failure_of(process::run(cmd("/nosuch/program"))) == "exec /nosuch/program: no such file or directory");
  CHECK(failure_of(process::run(cmd("ringlet-nosuch"))) == "exec ringlet-nosuch: no such file or directory");
  CHECK(failure_of(process::run(cmd(place / "plain"))) == "exec " + (place / "plain") + ": permission denied");
  CHECK(failure_of(process::run(cmd(place / "interpreter"))) ==
        "exec " + (place / "interpreter") + ": no such file or directory");
  CHECK(failure_of(process::run(cmd("true").cwd("/nosuch"))) == "chdir /nosuch: no such file or directory");
  CHECK(failure_of(process::run(cmd("true").in(stdio::file("/nosuch/in")))) ==
        "open /nosuch/in: no such file or directory");
  CHECK(failure_of(process::run(cmd("true").pass_fd(1'000'000))) == "pass_fd true: bad file descriptor");
  CHECK(failure_of(process::run(cmd("true", std::string(3'000'000, 'x')))) == "exec true: argument list too long");
}

TEST_CASE("run: 1,100 failing starts in a row leave no descriptor and no child") {
  in_time([]() -> task<> {
    int failed = 0;
    for (int i = 0; i < 1100; ++i) {
      try {
        cmd impossible("/nosuch");
        if (i % 2 == 0) impossible = cmd("true").cwd("/nosuch");
        co_await process::run(std::move(impossible));
      } catch (const os_error&) {
        ++failed;
      }
    }
    CHECK(failed == 1100);
  });
}

TEST_CASE("cmd: the first three descriptors lead where they are told to") {
  const folder place;
  write_file(place / "in", "from a file");
  in_time([&]() -> task<> {
    completed done = co_await process::run(cmd("cat").in(stdio::file(place / "in")).out(stdio::file(place / "out")));
    CHECK(done.ok());
    CHECK(done.out.empty());
    CHECK(contents(place / "out") == "from a file");

    done = co_await process::run(sh("echo out; echo err >&2").err(stdio::to_stdout()));
    CHECK(done.out == "out\nerr\n");
    CHECK(done.err.empty());

    done = co_await process::run(sh("cat; echo out; echo err >&2").in(stdio::null()).out(stdio::null()));
    CHECK(done.out.empty());
    CHECK(done.err == "err\n");

    const unique_fd log(::open((place / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    done = co_await process::run(sh("echo out; echo err >&2").out(stdio::fd(log.get())).err(stdio::fd(log.get())));
    CHECK(contents(place / "log") == "out\nerr\n");
    CHECK(::fcntl(log.get(), F_GETFD) == FD_CLOEXEC);
  });
}

namespace {

/// Puts files into the place of the parent's first three descriptors while it lives.
class replaced_standard_streams {
 public:
  explicit replaced_standard_streams(const std::array<std::string, 3>& paths) {
    for (int fd = 0; fd < 3; ++fd) {
      kept_[static_cast<std::size_t>(fd)] = unique_fd(::fcntl(fd, F_DUPFD_CLOEXEC, 10));
      const int flags = fd == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
      const unique_fd file(::open(paths[static_cast<std::size_t>(fd)].c_str(), flags | O_CLOEXEC, 0600));
      ::dup2(file.get(), fd);
    }
  }
  replaced_standard_streams(const replaced_standard_streams&) = delete;
  replaced_standard_streams& operator=(const replaced_standard_streams&) = delete;
  ~replaced_standard_streams() {
    for (int fd = 0; fd < 3; ++fd) ::dup2(kept_[static_cast<std::size_t>(fd)].get(), fd);
  }

 private:
  std::array<unique_fd, 3> kept_;
};

}  // namespace

TEST_CASE("cmd: inherit() leads where the parent's own descriptor does; two may change places") {
  const folder place;
  write_file(place / "in", "from the parent\n");
  const std::string print = "cat; echo out; echo err >&2";
  in_time([&]() -> task<> {
    const replaced_standard_streams swapped({place / "in", place / "out", place / "err"});
    process::child plain = co_await process::spawn(sh(print));
    co_await plain.wait();
    completed done = co_await process::run(sh(print).out(stdio::inherit()).err(stdio::inherit()));
    CHECK(done.out.empty());
    CHECK(done.err.empty());
    done = co_await process::run(sh(print).out(stdio::fd(2)).err(stdio::fd(1)));
    done = co_await process::run(sh("echo into out >&2").out(stdio::inherit()).err(stdio::to_stdout()));
  });
  CHECK(contents(place / "out") == "from the parent\nout\nout\nerr\ninto out\n");
  CHECK(contents(place / "err") == "err\nerr\nout\n");
}

TEST_CASE("cmd: errors go where the output goes, whatever that is; nothing else can") {
  const folder place;
  const std::string print = "echo out; echo err >&2";
  in_time([&]() -> task<> {
    completed done = co_await process::run(sh(print).out(stdio::file(place / "both")).err(stdio::to_stdout()));
    CHECK(contents(place / "both") == "out\nerr\n");
    done = co_await process::run(sh(print).err(stdio::file(place / "err")));
    CHECK(done.out == "out\n");
    CHECK(contents(place / "err") == "err\n");
    done = co_await process::run(sh(print).out(stdio::null()).err(stdio::to_stdout()));
    CHECK(done.out + done.err == "");
    done = co_await process::run(sh(print).err(stdio::to_stdout()) | cmd("cat"));
    CHECK(done.out == "out\nerr\n");
    bool refused = false;
    try {
      co_await process::spawn(cmd("true").out(stdio::to_stdout()));
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    CHECK(refused);
  });
  CHECK(failure_of(process::run(cmd("true").out(stdio::fd(1'000'000)))) == "dup2 true: bad file descriptor");
  CHECK(failure_of(process::run(cmd("true").out(stdio::file(place.path())))) ==
        "open " + place.path() + ": is a directory");
}

TEST_CASE("cmd: a child has its first three descriptors and those that it is given, whatever the parent has open") {
  const unique_fd careless(::open("/dev/null", O_RDONLY));
  const unique_fd given(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const std::string number = std::to_string(given.get());
  const std::string list = "i=0; while [ $i -lt 200 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i + 1)); done; true";
  CHECK(output_of(sh(list).in(stdio::null())) == "0\n1\n2\n");
  CHECK(output_of(sh(list).in(stdio::null()).pass_fd(given.get())) == "0\n1\n2\n" + number + "\n");
}

TEST_CASE("cmd: a child begins with the default handling of signals and none of them blocked") {
  in_time([]() -> task<> {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    const auto before_hup = std::signal(SIGHUP, SIG_IGN);
    const auto before_usr2 = std::signal(SIGUSR2, [](int) {});
    const std::string mine = co_await process::check_output(cmd("cat", "/proc/self/status"));
    std::signal(SIGHUP, before_hup);
    std::signal(SIGUSR2, before_usr2);
    ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
    for (const std::string line : {"SigBlk", "SigIgn", "SigCgt"}) {
      CHECK_THAT(mine, kit::contains(line + ":\t0000000000000000\n"));
    }
  });
}

TEST_CASE("cmd: the parent's first three descriptors may be closed") {
  const int kept[] = {::fcntl(0, F_DUPFD_CLOEXEC, 10), ::fcntl(1, F_DUPFD_CLOEXEC, 10),
                      ::fcntl(2, F_DUPFD_CLOEXEC, 10)};
  completed done(process::status::of_unknown());
  in_time([&]() -> task<> {
    for (int fd = 0; fd < 3; ++fd) ::close(fd);
    auto work = process::run(sh("cat; echo out; echo err >&2").input("in\n"));
    done = co_await std::move(work);
  });
  for (int fd = 0; fd < 3; ++fd) {
    ::dup2(kept[fd], fd);
    ::close(kept[fd]);
  }
  CHECK(done.ok());
  CHECK(done.out == "in\nout\n");
  CHECK(done.err == "err\n");
}

TEST_CASE("cmd: one of the first three that is closed in the parent is closed in the child, too") {
  const int kept = ::fcntl(0, F_DUPFD_CLOEXEC, 10);
  completed done(process::status::of_unknown());
  in_time([&]() -> task<> {
    ::close(0);
    auto work = process::run(cmd("cat").timeout(20s));
    done = co_await std::move(work);
  });
  ::dup2(kept, 0);
  ::close(kept);
  CHECK(done.status == process::status::of_exit(1));
  CHECK_THAT(done.err, kit::contains("Bad file descriptor"));
}

TEST_CASE("cmd: a descriptor that is not open is refused, and nothing is started") {
  in_time([]() -> task<> {
    const int free = ::dup(0);
    ::close(free);
    co_await expect_error(EBADF, [&] { return process::run(cmd("sleep", "60").pass_fd(free)); });
    co_await expect_error(EBADF, [&] { return process::run(cmd("sleep", "60").in(stdio::fd(free))); });
  });
}

TEST_CASE("cmd: new_session and new_group") {
  const auto ids = [](cmd what) {
    std::string out;
    in_time([&]() -> task<> { out = co_await process::check_output(what); });
    return out;
  };
  const std::string print =
      "read pid comm state ppid group session rest < /proc/self/stat; echo $((pid == group)) $((pid == session))";
  const auto shell = [&] { return cmd("/bin/sh", "-c", print); };
  CHECK(ids(shell()) == "0 0\n");
  CHECK(ids(shell().new_group()) == "1 0\n");
  CHECK(ids(shell().new_session()) == "1 1\n");
  CHECK(ids(shell().new_session().new_group()) == "1 1\n");
}
