"""--threads: several loops listen on one port, each serves its part of the clients, and all of them end together."""
import contextlib
import os
import re
import signal
import time

from client import FIN, Client, expect_refused, number_that_takes
from server import Server, patience, run_to_end, tolerant_of_shortage
from server_kit import check, check_equal, test

LOOPS = 2
CLIENTS = 64


def wake_ups(server):
    """How often each thread of the server has waited, by thread."""
    counts = {}
    for thread in os.listdir(f"/proc/{server.pid}/task"):
        status = server.proc(f"task/{thread}/status")
        counts[thread] = int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)$", status, re.M)[1])
    return counts


@contextlib.contextmanager
def many_clients(server):
    with contextlib.ExitStack() as open_until_the_end:
        yield [open_until_the_end.enter_context(Client(server)) for _ in range(CLIENTS)]


@test("threads: connections are spread over all loops, and each is served to its end")
def spread():
    with Server("--threads", LOOPS, "--workers", 1) as server, many_clients(server) as clients:
        for client in clients:
            check_equal(client.ask("10"), "55")
        before = wake_ups(server)
        for _ in range(5):
            for client in clients:
                check_equal(client.ask("11"), "89")  # small enough for the loop itself
        busy = [thread for thread, count in wake_ups(server).items() if count - before.get(thread, 0) >= 5]
        check_equal(len(busy), LOOPS, "threads that served")
        for client in clients:
            client.send(b"20\n30")
            client.end_input()
            check_equal(client.rest(), (b"6765\n832040\n", FIN))


@test("threads: SIGTERM or SIGINT ends all loops: idle connections get FIN, new ones are refused, the exit code is 0")
def stopped():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server("--threads", LOOPS) as server, many_clients(server) as clients:
            for client in clients:
                check_equal(client.ask("10"), "55")
            began = time.monotonic()
            server.send_signal(number)
            for client in clients:
                client.expect_end("")
            check_equal(server.wait(), 0, "exit code")
            took = time.monotonic() - began
            check(took < patience(3), f"it took {took} s")
            check_equal([e for e in server.errors if "warning" not in e], [], "stderr")


@test("threads: requests that were started in any loop are finished and delivered when the server stops")
def started_requests():
    with Server("--threads", LOOPS, "--max-n", 60, "--workers", 1, "--drain-timeout", 60) as server:
        n, _ = number_that_takes(server, 1)
        with Client(server) as slow, many_clients(server) as clients:
            slow.send(b"%d\n" % n)
            time.sleep(0.1)
            for client in clients:
                client.send(b"25\n")
            time.sleep(0.2)
            server.send_signal(signal.SIGTERM)
            expect_refused(server.port)
            check(server.process.poll() is None, "it did not wait for the request")
            check(slow.line().isdigit(), "no number")
            for client in clients:
                check_equal(client.rest(), (b"75025\n", FIN))
            check_equal(server.wait(), 0, "exit code")


@test("threads: a second SIGINT ends the server at once with 130")
def second_signal():
    with Server("--threads", LOOPS, "--max-n", 93, "--drain-timeout", 60) as server, Client(server) as client:
        client.send(b"93\n")
        time.sleep(0.2)
        server.send_signal(signal.SIGINT)
        expect_refused(server.port)
        server.send_signal(signal.SIGINT)
        check_equal(server.wait(), 130, "exit code")


@test("threads: a port that another server has is an error, although loops share one, and nothing is printed")
def port_in_use():
    for first, second in ((1, LOOPS), (LOOPS, LOOPS), (LOOPS, 1)):
        with Server("--threads", first) as server:
            code, out, err = run_to_end("--host", "127.0.0.1", "--port", server.port, "--threads", second)
            check_equal((code, out), (1, ""), f"stderr {err!r}: ended with")
            check(f"127.0.0.1:{server.port}" in err and "in use" in err, f"stderr is {err!r}")


@test("threads: where a ring cannot be had no loop serves, and the error names the step")
def no_descriptors():
    code, out, err = run_to_end("--port", 0, "--threads", 16, shell="ulimit -n 24", env=tolerant_of_shortage())
    check_equal((code, out), (1, ""), f"stderr {err!r}: ended with")
    check("eventfd" in err or "io_uring_setup" in err, f"stderr is {err!r}")


@test("threads: --max-connections is for all of them together")
def busy():
    with Server("--threads", LOOPS, "--max-connections", LOOPS) as server, many_clients(server) as clients:
        for client in clients:
            client.send(b"10\n")
        answers = [client.line() for client in clients]
        check_equal(sorted(answers), sorted(["55"] * LOOPS + ["ERR busy"] * (CLIENTS - LOOPS)))
