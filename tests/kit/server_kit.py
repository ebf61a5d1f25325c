"""Test kit of the Python test programs: runs functions as tests, and servers as child processes.

Found by `sys.path.insert(0, ...)`: see tests/examples/test_servers.py.
"""
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


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def test(name):
    """Makes the function below a test. name: a sentence about behaviour."""

    def register(function):
        _tests.append((name, function))
        return function

    return register


def check(condition, why):
    if not condition:
        raise AssertionError(why)


def check_equal(got, expected):
    check(got == expected, f"got {shortened(got)}, expected {shortened(expected)}")


def shortened(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text)} characters)"


def run_one(name, function):
    """Runs one test, says how it ended, and gives PASS, FAIL or SKIPPED."""
    try:
        function()
    except Skip as why:
        print(f'SKIPPED "{name}": {why}', flush=True)
        return "SKIPPED"
    except Exception as error:  # a failing test must not end the others
        print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
        traceback.print_exc()
        return "FAIL"
    print(f"PASS {name}", flush=True)
    return "PASS"


def run_tests():
    """Runs all tests of the program, ends with the line of counts, and gives the exit status."""
    ends = [run_one(name, function) for name, function in _tests]
    passed, failed, skipped = (ends.count(end) for end in ("PASS", "FAIL", "SKIPPED"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not ends else 0


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
        return self.process.wait(LIMIT)

    def errors(self):
        """What it has written to stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

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
