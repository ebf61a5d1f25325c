"""The echo servers that are measured: how each is started, moved between CPUs, looked at, and stopped."""
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_LIMIT = 20.0  # seconds


class Missing(Exception):
    """The server cannot run here; says why."""


class Kind:
    """What there is to start. group: ringlet, raw, or peer."""

    def __init__(self, name, group, command, needs=None):
        self.name = name
        self.group = group
        self.command = command
        self.needs = needs or Path(command[0])


def interpreter_with(module):
    """A Python that has the module; None where there is none."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
        if found.returncode == 0:
            return python
    return None


def kinds(folder):
    """Every server, with the programs in the build folder."""
    def own(program, style, name, group):
        return Kind(name, group, [str(folder / program)] + ([style] if style else []))

    def python(style, name):
        interpreter = interpreter_with("uvloop" if style == "uvloop" else "asyncio")
        script = str(HERE / "peers" / "asyncio_echo.py")
        return Kind(name, "peer", [interpreter or "python3", script, style], Path(interpreter or "no uvloop"))

    return [
        own("ringlet_echo", "read_some", "ringlet read_some", "ringlet"),
        own("ringlet_echo", "receive", "ringlet receive", "ringlet"),
        own("raw_echo", "incremental", "raw multishot, incremental", "raw"),
        own("raw_echo", "direct", "raw multishot, incremental, direct", "raw"),
        own("raw_echo", "plain", "raw multishot, 256 x 4 KiB", "raw"),
        own("raw_echo", "poll", "raw multishot poll, calls", "raw"),
        own("raw_echo", "one_shot", "raw one-shot", "raw"),
        own("raw_echo", "epoll", "raw epoll", "epoll"),
        own("asio_echo", "coroutines", "Asio coroutines", "peer"),
        own("asio_echo", "callbacks", "Asio callbacks", "peer"),
        own("uv_echo", "", "libuv", "peer"),
        own("go_echo", "", "Go", "peer"),
        python("uvloop", "asyncio + uvloop"),
        python("streams", "asyncio streams"),
    ]


def why_not(text):
    """The first line of it that is not valgrind's."""
    lines = [line for line in text.strip().split("\n") if not line.startswith("==")]
    return lines[0] if lines else "it says nothing"


class Server:
    """A running one."""

    def __init__(self, kind, cpu, wrapper=()):
        self.kind = kind
        if not kind.needs.exists():
            raise Missing(f"{kind.name} is not there")
        self.process = subprocess.Popen(
            [*wrapper, *kind.command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
        self.pid = self.process.pid
        self.port = self._read_port()

    def _read_port(self):
        deadline = time.monotonic() + START_LIMIT
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.process.stdout], [], [], left)[0]:
                break
            line = self.process.stdout.readline()
            if line.startswith("listening on "):
                return int(line.strip().rsplit(":", 1)[1])
            if not line:
                self.process.wait()
                raise Missing(f"{self.kind.name} does not start: {why_not(self.process.stderr.read())}")
        self.stop()
        raise Missing(f"{self.kind.name} does not say where it listens")

    def move(self, cpu):
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            os.sched_setaffinity(int(thread), {cpu})

    def memory(self):
        """Bytes that are its own share of what is in memory."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("the kernel does not tell the memory of a process")

    def stop(self):
        """Gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        return status


def start_all(folder, cpu, say, only=""):
    """All that can run; says which cannot."""
    running = []
    for kind in kinds(folder):
        if only and not any(part in kind.name for part in only.split(",")):
            continue
        try:
            running.append(Server(kind, cpu))
        except Missing as why:
            say(f"left out: {why}")
    return running
