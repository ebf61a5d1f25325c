"""A fib server under test, as its operating system sees it: process, output, memory, descriptors."""
import os
import re
import select
import signal
import subprocess
import threading
import time

from server_kit import check, check_equal

SETTINGS = {"fib_server": "", "echo_server": "", "patience": 1.0, "sanitized": False}  # set by run.py

PAGE = os.sysconf("SC_PAGE_SIZE")
LISTENING = re.compile(r"^listening on (.+):(\d+)$")


def patience(seconds):
    """A time limit, longer where the program is slower by its build."""
    return seconds * SETTINGS["patience"]


def eventually(condition, within, what):
    """Asks until it holds; the last word is that it did not."""
    end = time.monotonic() + patience(within)
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {patience(within):g} s: {what}")


def launch(*options, program=None, shell="", **popen):
    """Starts a program, the fib server by default. shell: what a shell does first, as in "ulimit -n 40"."""
    command = [program or SETTINGS["fib_server"], *map(str, options)]
    if shell:
        command = ["sh", "-c", shell + '\nexec "$0" "$@"', *command]
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **{**settings, **popen})


def tolerant_of_shortage():
    """An environment. Why: UBSan asks a pipe whether an object is there, and reports every object when it gets none."""
    return {**os.environ, "UBSAN_OPTIONS": "halt_on_error=0"}


def run_to_end(*options, within=10, **popen):
    """(exit code, stdout, stderr) of a server that is expected to end by itself."""
    process = launch(*options, **popen)
    try:
        out, err = process.communicate(timeout=patience(within))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"{options} did not end")
    return process.returncode, (out or b"").decode(), (err or b"").decode()


class Server:
    """A running server. With `with`, it is told to stop at the end, and has to do so in good order."""

    def __init__(self, *options, host="127.0.0.1", port=0, arguments=None, **launch_options):
        if arguments is None:
            arguments = ["--host", host, "--port", port, *options]
        self.process = launch(*arguments, **launch_options)
        self.pid = self.process.pid
        self.errors = []  # lines of stderr
        if self.process.stderr is not None:
            self.reader = threading.Thread(target=self._collect_errors, daemon=True)
            self.reader.start()
        self.port = port
        if self.process.stdout is not None:
            self.port = self._read_port()

    def _collect_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode(errors="backslashreplace").rstrip("\n"))

    def _read_port(self):
        readable, _, _ = select.select([self.process.stdout], [], [], patience(10))
        line = self.process.stdout.readline().decode().rstrip("\n") if readable else ""
        match = LISTENING.match(line)
        if not match:
            self.process.kill()
            raise AssertionError(f"the server's first line is {line!r}; stderr: {self.errors}")
        return int(match[2])

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, within=10):
        """The exit code; negative: the signal that ended it."""
        try:
            return self.process.wait(patience(within))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end within {patience(within):g} s") from None

    def stop(self, within=10):
        if self.process.poll() is None:
            self.send_signal(signal.SIGTERM)
        check_equal(self.wait(within), 0, f"stderr {self.errors}, exit code")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        try:
            if error is None and self.process.returncode is None:
                check(self.process.poll() is None, f"the server has died: {self.process.returncode}, {self.errors}")
                self.stop()
        finally:
            self.kill()

    def proc(self, name):
        with open(f"/proc/{self.pid}/{name}", encoding="ascii", errors="replace") as file:
            return file.read()

    def rss(self):
        """Memory in use. units: bytes."""
        return int(self.proc("statm").split()[1]) * PAGE

    def cpu_seconds(self):
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def state(self):
        return self.proc("stat").rpartition(")")[2].split()[0]
