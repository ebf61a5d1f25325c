"""Test kit of the Python test programs: runs functions as tests, and servers as child processes.

Found by `sys.path.insert(0, ...)`: see tests/examples/test_servers.py.
"""
import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

LIMIT = 60.0  # seconds that anything quick may take; generous, for sanitizers and busy machines

_tests = []
_alone = []  # tests that nothing may run beside
_printing = threading.Lock()

# Why: a shell ignores some of these for what it runs in the background, as nohup does; the servers would inherit it.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def test(name, alone=False):
    """Makes the function below a test. name: a sentence about behaviour. alone: other tests would disturb it."""

    def register(function):
        (_alone if alone else _tests).append((name, function))
        return function

    return register


def check(condition, why):
    if not condition:
        raise AssertionError(why)


def check_equal(got, expected, what="got"):
    check(got == expected, f"{what} {shortened(got)}, expected {shortened(expected)}")


def shortened(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text)} characters)"


def say(line):
    with _printing:
        print(line, flush=True)


def run_one(name, function):
    """Runs one test, says how it ended, and gives PASS, FAIL or SKIPPED."""
    try:
        function()
    except Skip as why:
        say(f'SKIPPED "{name}": {why}')
        return "SKIPPED"
    except Exception as error:  # a failing test must not end the others
        say(f"FAIL {name}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
        return "FAIL"
    say(f"PASS {name}")
    return "PASS"


def run_tests(at_a_time=1, only=""):
    """Runs all tests of the program, ends with the line of counts, and gives the exit status.

    at_a_time: more than 1 for tests that mostly wait. only: a part of the names of the tests to run.
    """
    chosen = [[(name, function) for name, function in tests if only in name] for tests in (_tests, _alone)]
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        ends = list(pool.map(lambda each: run_one(*each), chosen[0]))
    ends += [run_one(*each) for each in chosen[1]]
    passed, failed, skipped = (ends.count(end) for end in ("PASS", "FAIL", "SKIPPED"))
    say(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not ends else 0


def has_thread_sanitizer(program):
    with open(program, "rb") as binary:
        return b"__tsan_init" in binary.read()


class Server:
    """A server as a child process, from its line "listening on ADDRESS:PORT" on; killed where the with block ends.

    addresses: where it listens, as (host, port), one for each of the lines that it was asked to wait for.
    """

    def __init__(self, *command, lines=1, **popen_options):
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, **popen_options)
        try:
            self.addresses = [self._read_address() for _ in range(lines)]
        except BaseException:
            self._end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def connect(self, address=None):
        """A socket whose every call ends within LIMIT."""
        return socket.create_connection(address or self.addresses[0], LIMIT)

    def stop(self, number=signal.SIGTERM):
        """Sends the signal; gives the exit status, negative where a signal ended the server."""
        self.process.send_signal(number)
        if has_thread_sanitizer(self.process.args[0]):
            # Why again: it may keep a signal for itself that comes while a fiber runs.
            try:
                return self.process.wait(LIMIT / 4)
            except subprocess.TimeoutExpired:
                say(f"signal {number} was sent again to {os.path.basename(self.process.args[0])}")
                self.process.send_signal(number)
        return self.process.wait(LIMIT)

    def errors(self):
        """What it has written to stderr."""
        # Why not read(): the server writes where this file's position is, and reading moves that.
        written = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), written, 0).decode(errors="replace")

    def descriptors(self):
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _read_address(self):
        watchdog = threading.Timer(LIMIT, self.process.kill)  # a server that says nothing ends the wait
        watchdog.start()
        try:
            line = self.process.stdout.readline().decode()
        finally:
            watchdog.cancel()
        match = re.fullmatch(r"listening on \[?(.+?)\]?:(\d+)\n", line)
        check(match, f"instead of where it listens, the server said {line!r} and on stderr {self.errors()!r}")
        return match[1], int(match[2])

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._errors.close()


class LineClient:
    """A connection that asks in lines and is answered in lines."""

    def __init__(self, connection):
        self.socket = connection
        self._lines = connection.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def read_line(self):
        """The next line without its end; an empty string: the server has closed."""
        return self._lines.readline().decode().rstrip("\n")

    def ask(self, line):
        self.send(f"{line}\n")
        return self.read_line()

    def close(self):
        self._lines.close()
        self.socket.close()


if __name__ == "__main__":
    sys.exit("this is what test programs import, not a test program")
