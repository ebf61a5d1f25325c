"""Tests of how a process with a loop starts and ends: where io_uring is not to be had, without standard streams, and by
signals.

run.py PROBE
"""
import contextlib
import errno
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kit"))
from server_kit import LIMIT, Skip, check, check_equal, run_tests, test

PROBE = sys.argv[1]
SMALLEST_RING = 16
os.environ.pop("RINGLET_PLAIN", None)  # where it is wanted, it is said

# System call numbers that are the same on all architectures.
SETUP, ENTER, REGISTER = 425, 426, 427

WORKED, START_FAILED, FAILED = 0, 3, 4


def probe(*arguments, before=(), **options):
    return subprocess.run([*before, PROBE, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=LIMIT, check=False, **options)


class Traced:
    """The probe, run to its end where system calls fail as said; `calls` are those of the kinds that were injected."""

    def __init__(self, *arguments, inject, trace=()):
        if not shutil.which("strace"):
            raise Skip("strace is not installed")
        kinds = {fault.partition(":")[0] for fault in inject} | set(trace)
        with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
            command = ["strace", "-f", "-qq", "-o", log.name, "-e", "trace=" + ",".join(sorted(kinds))]
            for fault in inject:
                command += ["-e", "inject=" + fault]
            # Why: the search for leaks traces the program itself, and only one can.
            environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
            self.ended = probe(*arguments, before=command, env=environment)
            self.calls = log.read()
        if "ptrace" in self.ended.stderr:
            raise Skip(f"tracing is not allowed here: {self.ended.stderr.strip()}")

    @property
    def said(self):
        return self.ended.stderr

    def ring_sizes(self):
        return [int(size) for size in re.findall(r"io_uring_setup\((\d+),", self.calls)]


def has_filter():
    return "\nSeccomp:\t2" in pathlib.Path("/proc/self/status").read_text(encoding="ascii")


def expect_failed_start(ended, step, error, *words):
    check_equal(ended.returncode, START_FAILED, ended.stderr)
    lines = ended.stderr.splitlines()
    check(len(lines) == 1, f"said {ended.stderr!r}")
    check(lines[0].startswith(f"{step} failed ({os.strerror(error)}): "), lines[0])
    for word in words:
        check(word in lines[0], f"{word!r} is not in {lines[0]!r}")


# --- io_uring is not to be had

@test("start: works here")
def works():
    for mode in ("nothing", "work", "threads"):
        ended = probe(mode)
        check_equal(ended.returncode, WORKED, f"{mode}: {ended.stderr}")


@test("start: a seccomp filter that forbids to set a ring up is named, with the remedy")
def filtered_setup():
    for error in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        ended = probe("forbidden", SETUP, error)
        if "no filter" in ended.stderr:
            raise Skip(ended.stderr.strip())
        expect_failed_start(ended, "io_uring_setup", error, "seccomp filter", "--security-opt seccomp=")


@test("start: a seccomp filter that allows to set a ring up and forbids to use it is named, too")
def filtered_enter():
    for error in (errno.EPERM, errno.ENOSYS):
        ended = probe("forbidden", ENTER, error)
        if "no filter" in ended.stderr:
            raise Skip(ended.stderr.strip())
        expect_failed_start(ended, "io_uring_enter", error, "seccomp filter", "--security-opt seccomp=")


@test("start: a ring that cannot be registered works all the same")
def filtered_register():
    ended = probe("forbidden", REGISTER, errno.EPERM)
    if "no filter" in ended.stderr:
        raise Skip(ended.stderr.strip())
    check_equal(ended.returncode, WORKED, ended.stderr)


@test("start: a refusal that no filter has made is not blamed on one")
def refused():
    if has_filter():
        raise Skip("this process has a seccomp filter, so every refusal looks like its work")
    traced = Traced("nothing", inject=["io_uring_setup:error=EPERM"])
    expect_failed_start(traced.ended, "io_uring_setup", errno.EPERM, "neither", "security module", "audit log")


@test("start: a kernel without io_uring is named, with the one that is needed")
def no_io_uring():
    if has_filter():
        raise Skip("this process has a seccomp filter, which may say the same")
    traced = Traced("nothing", inject=["io_uring_setup:error=ENOSYS"])
    expect_failed_start(traced.ended, "io_uring_setup", errno.ENOSYS, os.uname().release, "Linux 6.1",
                        "CONFIG_IO_URING")


@test("start: a kernel that does not know the ring's flags is too old, and the needed one is named")
def old_kernel():
    traced = Traced("nothing", inject=["io_uring_setup:error=EINVAL"])
    expect_failed_start(traced.ended, "io_uring_setup", errno.EINVAL, "Linux 6.1", os.uname().release)


@test("start: when memory is short, ever smaller rings are tried, and the first that fits is used")
def smaller_ring():
    traced = Traced("work", inject=["io_uring_setup:error=ENOMEM:when=1..3"])
    check_equal(traced.ended.returncode, WORKED, traced.said)
    check_equal(traced.ring_sizes(), [256, 128, 64, 32])


@test("start: when memory does not suffice for the smallest ring, the limit is named, and what raises it")
def no_memory():
    traced = Traced("nothing", inject=["io_uring_setup:error=ENOMEM"])
    expect_failed_start(traced.ended, "io_uring_setup", errno.ENOMEM, "locked memory", f"{SMALLEST_RING} entries")
    check_equal(traced.ring_sizes(), [256, 128, 64, 32, 16, 16])


@test("start: memory that comes back a moment later is waited for")
def late_memory():
    traced = Traced("nothing", inject=["io_uring_setup:error=ENOMEM:when=1..5"])
    check_equal(traced.ended.returncode, WORKED, traced.said)
    check_equal(traced.ring_sizes(), [256, 128, 64, 32, 16, 16])


@test("start: the smallest limit of locked memory that there is suffices, or is named")
def locked_memory():
    ended = probe("work", before=["sh", "-c", 'ulimit -l 0 && exec "$@"', "sh"])
    if ended.returncode != WORKED:
        expect_failed_start(ended, "io_uring_setup", errno.ENOMEM, "locked memory", "`ulimit -l`")


@test("start: any other error of the set-up is told as it is")
def other_error():
    traced = Traced("nothing", inject=["io_uring_setup:error=EIO"])
    check_equal(traced.ended.returncode, START_FAILED)
    check_equal(traced.said, f"io_uring_setup failed ({os.strerror(errno.EIO)})\n")
    check_equal(len(traced.ring_sizes()), 1, "tries")


@test("start: a lack of descriptors is told with what allows more")
def no_descriptors():
    traced = Traced("nothing", inject=["io_uring_setup:error=EMFILE"])
    expect_failed_start(traced.ended, "io_uring_setup", errno.EMFILE, "`ulimit -n`")
    traced = Traced("nothing", inject=["eventfd2:error=EMFILE"])
    check_equal(traced.ended.returncode, FAILED)
    check(os.strerror(errno.EMFILE).lower() in traced.said.lower() and "eventfd" in traced.said, traced.said)


@test("start: a thread that cannot be made is an error of the task that wanted it")
def no_threads():
    traced = Traced("threads", inject=["clone3:error=EAGAIN", "clone:error=EAGAIN"])
    check_equal(traced.ended.returncode, FAILED, traced.said)
    check("create a thread" in traced.said, traced.said)


@test("start: the size that is asked for is the size that is tried first, brought into the kernel's range")
def sizes():
    for asked, tried in ((1, 1), (64, 64), (4096, 4096), (10_000_000, 32768), (0, 1)):
        traced = Traced("entries", asked, inject=["io_uring_setup:error=EIO"])
        check_equal(traced.ring_sizes(), [tried], f"for {asked}")


@test("start: RINGLET_PLAIN=1 makes the ring tiny, unless a size was asked for, and leaves its descriptor unregistered")
def plain():
    def plainly(*arguments, value="1"):
        os.environ["RINGLET_PLAIN"] = value
        try:
            return Traced(*arguments, inject=["io_uring_setup:error=EINTR:when=1000"], trace=["io_uring_register"])
        finally:
            del os.environ["RINGLET_PLAIN"]

    traced = plainly("work")
    check_equal(traced.ended.returncode, WORKED, traced.said)
    check_equal(traced.ring_sizes(), [8])
    check("io_uring_register" not in traced.calls, traced.calls)
    check_equal(plainly("entries", 64).ring_sizes(), [64])
    for other in ("", "0", "yes"):
        check_equal(plainly("work", value=other).ring_sizes(), [256], f"for {other!r}")


# --- The ring fails while it is in use

@test("ring: waits that are interrupted, and submissions that the kernel cannot take now, are made again")
def interrupted_enters():
    for error in ("EINTR", "EAGAIN", "EBUSY"):
        traced = Traced("work", inject=[f"io_uring_enter:error={error}:when=3+3"])
        check_equal(traced.ended.returncode, WORKED, f"{error}: {traced.said}")
        check(f"{error} " in traced.calls and "INJECTED" in traced.calls, f"{error} never came: {traced.calls}")


@test("ring: the round trip of the start is made again when a signal interrupts it")
def interrupted_start():
    traced = Traced("nothing", inject=["io_uring_enter:error=EINTR:when=1..3"])
    check_equal(traced.ended.returncode, WORKED, traced.said)


@test("ring: one that the kernel does not serve any more ends the process with the reason")
def broken_ring():
    traced = Traced("work", inject=["io_uring_enter:error=EBADFD:when=5+"])
    check_equal(traced.ended.returncode, -signal.SIGABRT, traced.said)
    check("ringlet: io_uring_enter failed: " in traced.said, traced.said)


# --- Standard streams that are closed

def without_streams(closed):
    """The descriptors that a process has which was started with these closed."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "descriptors")
        redirect = " ".join(f"{fd}>&-" for fd in closed)
        command = ["sh", "-c", f'exec "$0" descriptors "$1" {redirect}', PROBE, report]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               timeout=LIMIT, check=False)
        check_equal(ended.returncode, WORKED, f"{closed}: {ended.stderr}")
        with open(report, encoding="utf-8") as lines:
            return dict((int(fd), name) for fd, name in (line.split(maxsplit=1) for line in lines))


@test("descriptors: whichever of 0, 1 and 2 are closed at the start, nothing of the loop's lands there")
def closed_streams():
    for closed in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        found = without_streams(closed)
        for fd in closed:
            check_equal(found.get(fd, "nothing").strip(), "/dev/null", f"with {closed} closed, {fd} is")
        loops_own = [fd for fd, name in found.items() if "io_uring" in name or "eventfd" in name or "socket" in name]
        check(len(loops_own) >= 5 and min(loops_own) > 2, f"with {closed} closed: {found}")


@test("descriptors: those that are open at the start stay what they are")
def open_streams():
    found = without_streams(())
    check_equal(found[0].strip(), "/dev/null")
    check(found[1].startswith("pipe:") and found[2].startswith("pipe:"), found)


# --- Signals

@contextlib.contextmanager
def started(mode):
    process = subprocess.Popen([PROBE, mode], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    try:
        check_equal(process.stdout.readline(), "ready\n")
        yield process
    finally:
        process.kill()
        process.communicate(timeout=LIMIT)


@test("signals: the first SIGINT or SIGTERM stops in good order")
def first_signal():
    for number in (signal.SIGINT, signal.SIGTERM):
        with started("stop") as process:
            process.send_signal(number)
            check_equal(process.stdout.readline(), "stopping\n")
            check_equal(process.wait(LIMIT), WORKED)


@test("signals: the second one ends the process at once, with 128 and its number")
def second_signal():
    for first in (signal.SIGINT, signal.SIGTERM):
        for second in (signal.SIGINT, signal.SIGTERM):
            with started("stop-slowly") as process:
                process.send_signal(first)
                check_equal(process.stdout.readline(), "stopping\n")
                process.send_signal(second)
                check_equal(process.wait(LIMIT), 128 + second)


@test("signals: the second one ends also a process whose task does not let go of the thread")
def second_signal_to_a_hog():
    with started("hog") as process:
        for _ in range(100):  # two that come at once may be one
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                check_equal(process.wait(0.1), 128 + signal.SIGTERM)
                return
        check(False, "still runs")


@test("signals: after run() a signal does what it did before")
def after_run():
    for number in (signal.SIGINT, signal.SIGTERM):
        with started("after-run") as process:
            process.send_signal(number)
            check_equal(process.wait(LIMIT), -number)


@test("signals: a write to a closed pipe is an error, and ends the process only where it was told to let it")
def sigpipe():
    def default_sigpipe():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)

    ended = probe("pipe", preexec_fn=default_sigpipe)
    check_equal(ended.returncode, FAILED, ended.stderr)
    check(os.strerror(errno.EPIPE).lower() in ended.stderr.lower(), ended.stderr)
    ended = probe("pipe-kept", preexec_fn=default_sigpipe)
    check_equal(ended.returncode, -signal.SIGPIPE, ended.stderr)


sys.exit(run_tests(2))
