"""Tests of the benchmark: every server echoes right, and the figures and the plot are made as they say.

test_bench.py FOLDER_OF_THE_PROGRAMS
"""
import os
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "kit")]

import plot
import report
import servers
from figures import Slices, quantile, relative
from rounds import Generator, Plan, interleaved, let_go, name_of
from server_kit import Skip, check, check_equal, run_tests, test

FOLDER = Path()


def programs():
    return [(kind.name, kind) for kind in servers.kinds(FOLDER)]


def started(kind):
    try:
        return servers.Server(kind, max(os.sched_getaffinity(0)))
    except servers.Missing as why:
        raise Skip(str(why)) from why


def generator():
    return Generator(FOLDER, max(os.sched_getaffinity(0)))


def echoes(kind):
    """Small messages, deep queues, and messages larger than every buffer; then short sessions; then the end."""
    server = started(kind)
    try:
        for connections, depth, size in ((8, 1, 64), (64, 16, 64), (8, 16, 4096), (4, 3, 1_000_000), (300, 2, 33)):
            found = generator().run("echo", server, connections=connections, depth=depth, size=size, time=200)
            check(found["requests"] > 0, f"{connections} x {depth} x {size}: no requests")
        found = generator().run("churn", server, connections=16, requests=200, time=20_000)
        check_equal(found["requests"], 200, "sessions")
    finally:
        status = server.stop()
    # Why: Go's way to end at SIGTERM is to die of it.
    check(status == 0 or kind.name == "Go", f"ended with {status} at SIGTERM")


def register_servers():
    for name, kind in programs():
        test(f"bench: {name} sends every byte back")(lambda kind=kind: echoes(kind))


@test("bench: the load generator finds a wrong byte")
def wrong_byte_is_found():
    # The answers of a server that speaks first are not those that are expected.
    import socket
    import threading
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_wrongly():
        client, _ = listener.accept()
        with client:
            client.sendall(bytes(b ^ 1 for b in client.recv(64)))
            client.recv(1)

    thread = threading.Thread(target=answer_wrongly)
    thread.start()
    pretended = type("Pretended", (), {"port": listener.getsockname()[1], "pid": os.getpid(),
                                       "kind": servers.Kind("wrong", "peer", ["none"])})
    try:
        generator().run("echo", pretended, connections=1, requests=1, time=5_000)
    except RuntimeError as found:
        check("other bytes than it got" in str(found), str(found))
    else:
        raise AssertionError("it found nothing")
    finally:
        thread.join()
        listener.close()


@test("bench: the load generator keeps to a number of requests")
def requests_are_bounded():
    server = started(dict(programs())["raw epoll"])
    try:
        found = generator().run("echo", server, connections=7, depth=3, requests=1_000, time=60_000)
        check_equal(found["requests"], 1_000, "requests")
    finally:
        server.stop()


@test("bench: memory of idle connections is measured while they are open")
def idle_connections_stay():
    server = started(dict(programs())["ringlet read_some"])
    try:
        before = server.memory()
        process = generator().hold_idle(server, 200)
        open_files = len(os.listdir(f"/proc/{server.pid}/fd"))
        check(open_files >= 200, f"{open_files} descriptors")
        check(server.memory() > before, "200 sessions take no memory")
        let_go(process)
    finally:
        server.stop()


@test("bench: quantiles are taken in proportion between neighbours")
def quantiles():
    check_equal(quantile([3, 1, 2], 0.5), 2)
    check_equal(quantile([0, 10], 0.25), 2.5)
    check_equal(quantile([7], 0.1), 7)


@test("bench: values are relative to the smallest of those named")
def relative_values():
    check_equal(relative({"a": 2.0, "b": 4.0, "c": 1.0}, ["a", "b", "none"]), {"a": 1.0, "b": 2.0, "c": 0.5})
    check_equal(relative({"c": 1.0}, ["a"]), {"c": None})


@test("bench: a disturbance that makes both dearer leaves the cost as it is")
def disturbances_cancel_out():
    quiet, disturbed = Slices(), Slices()
    for _ in range(4):
        quiet.add([[100, 200_000, 100_000, 25_000_000]] * 4)
        disturbed.add([[100, 200_000, 100_000, 25_000_000]] * 2 + [[100, 300_000, 150_000, 25_000_000]] * 2)
    check_equal(quiet.cost(), 2_000.0)
    check_equal(disturbed.cost(), 2_000.0)


@test("bench: slices without requests do not count, and rounds take turns")
def rounds_take_turns():
    calls = []

    class Pretended:
        def __init__(self, name):
            self.kind = servers.Kind(name, "raw", [name])

    def measure(server, task):
        calls.append((server.kind.name, task))
        if server.kind.name == "b":
            raise RuntimeError("b cannot")
        return {"slices": [[0, 1, 1, 1], [10, 50, 25, 100]]}

    found, count = interleaved([Pretended("a"), Pretended("b")], ["x"], measure, Plan(0, 1, 2), lambda *_, **__: None)
    check_equal(count, 2, "rounds")
    check_equal(found["x"]["a"].cost(), 5.0)
    check_equal([c[0] for c in calls], ["b", "a", "a"])


@test("bench: the plot is well-formed and tells every figure")
def plot_is_drawn():
    drawn = plot.make({"c64 d1 64B": {"ringlet <x>": 1.25, "raw epoll": 1.0}, "c64 d16 64B": {"raw epoll": 9.5}})
    texts = [element.text for element in xml.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    for expected in ("ringlet <x>", "1.25", "9.50", "c64 d16 64B"):
        check(expected in texts, f"no {expected} in {texts}")


@test("bench: the tables say who is ahead of whom")
def tables_are_made():
    def slices(server_cost):
        one = Slices()
        one.add([[100, 100 * server_cost, 100_000, 25_000_000]])
        return one

    load = (64, 1, 64)
    found = {"rounds": {"echo": 1}, "groups": {"ringlet read_some": "ringlet", "raw a": "raw", "raw b": "raw", "Go": "peer"},
             "echo": {load: {"ringlet read_some": slices(1_200), "raw a": slices(1_000), "raw b": slices(1_500),
                             "Go": slices(2_400)}}}
    text = report.make(found, quick=True)
    for expected in (f"| server | {name_of(load)} |", "| raw b | 1.50 |", "| the best raw | 1.20 |", "| Go | 0.50 |"):
        check(expected in text, f"no {expected} in {text}")


def main(arguments):
    global FOLDER
    FOLDER = Path(arguments.pop(0)).resolve()
    register_servers()
    return run_tests(1, *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
