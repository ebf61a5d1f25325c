"""The path of a request under load: what system calls strace sees in a server that is up and has its clients."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from client import Client
from server import SETTINGS, Server, patience
from server_kit import Skip, check, check_equal, test

CLIENTS = 50
ROUNDS = 40

# Not of the server's making: what a wait becomes that strace's arrival has interrupted.
BY_STRACE = {"restart_syscall"}


class Counted:
    """Counts the system calls of a process and its threads, by name."""

    def __init__(self, pid):
        if SETTINGS["sanitized"]:
            raise Skip("a sanitizer makes system calls of its own")
        if shutil.which("strace") is None:
            raise Skip("strace is not installed")
        self.report = tempfile.NamedTemporaryFile("r", suffix=".strace")
        self.strace = subprocess.Popen(
            ["strace", "-c", "-f", "-o", self.report.name, "-p", str(pid)], stderr=subprocess.PIPE, text=True
        )
        first = self.strace.stderr.readline()
        if "attached" not in first:
            self.strace.communicate()
            raise Skip(f"strace: {first.strip()}")

    def stop(self):
        self.strace.send_signal(signal.SIGINT)
        self.strace.communicate(timeout=patience(10))
        calls = {}
        for line in self.report:
            fields = line.split()
            if len(fields) >= 5 and re.fullmatch(r"\d+", fields[3]) and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
        self.report.close()
        return calls


def exchange(clients, rounds, request, reply):
    """All clients ask, then all are answered."""
    for _ in range(rounds):
        for client in clients:
            client.send(request)
        for client in clients:
            check_equal(client.line(), reply)


def expect_enters_only(server, request, reply):
    with server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(CLIENTS)]
        exchange(clients, 25, request, reply)  # buffers are there after that, and frames for as many as ask at once
        counted = Counted(server.pid)
        try:
            exchange(clients, ROUNDS, request, reply)
        finally:
            calls = counted.stop()
    # Without the kernel's optional features receive() waits for readiness, and then reads by a call of its own, into
    # memory that it takes when so many clients are read at once for the first time.
    expected = {"io_uring_enter", "recvfrom", "brk"} if os.environ.get("RINGLET_PLAIN") else {"io_uring_enter"}
    others = {name: n for name, n in calls.items() if name not in BY_STRACE | expected}
    enters = calls.get("io_uring_enter", 0)
    requests = CLIENTS * ROUNDS
    check_equal(others, {}, "other system calls:")
    # One a turn, and a turn serves all clients that have asked by then: far fewer than the 2 operations a request.
    check(0 < enters <= requests, f"{enters} io_uring_enter for {requests} requests")
    print(f"  {enters} io_uring_enter for {requests} requests of {CLIENTS} clients")


@test("system calls: under load the echo server makes none but io_uring_enter, at most one a turn", alone=True)
def echo_path():
    line = b"as it came" * 10
    expect_enters_only(Server(program=SETTINGS["echo_server"], arguments=["0"]), line + b"\n", line.decode())


@test("system calls: under load the fib server makes none but io_uring_enter for small numbers", alone=True)
def fib_path():
    expect_enters_only(Server(), b"10\n", "55")
