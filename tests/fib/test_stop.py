"""Stopping: signals, what still gets done, and how long it may take; and tests with nc."""
import shutil
import signal
import subprocess
import time

from client import FIN, Client, expect_refused, number_that_takes
from server import SETTINGS, Server, eventually, patience
from server_kit import Skip, check, check_equal, test


def for_both(stopped_by):
    for number in (signal.SIGTERM, signal.SIGINT):
        stopped_by(number)


@test("stop: SIGTERM or SIGINT closes idle connections with FIN and exits with 0")
def idle_connections():
    def stopped_by(number):
        with Server() as server, Client(server) as fresh, Client(server) as used:
            check_equal(used.ask("10"), "55")
            began = time.monotonic()
            server.send_signal(number)
            fresh.expect_end("")
            used.expect_end("")
            check_equal(server.wait(), 0, "exit code")
            took = time.monotonic() - began
            check(took < patience(2), f"it took {took} s")
            check_equal([e for e in server.errors if "warning" not in e], [], "stderr")

    for_both(stopped_by)


@test("stop: started requests are finished and delivered, then FIN; new connections are refused meanwhile")
def started_requests():
    def stopped_by(number):
        with Server("--max-n", 60, "--workers", 1, "--drain-timeout", 60) as server:
            n, _ = number_that_takes(server, 1)
            with Client(server) as slow, Client(server) as queued:
                slow.send(b"%d\n10\nx\n" % n)
                queued.send(b"25\n")
                time.sleep(0.2)
                server.send_signal(number)
                expect_refused(server.port)
                check(server.process.poll() is None, "it did not wait for the request")
                check(slow.line().isdigit(), "no number")
                check_equal(slow.rest(), (b"55\nERR not a number\n", FIN))
                check_equal(queued.rest(), (b"75025\n", FIN))
                check_equal(server.wait(), 0, "exit code")

    for_both(stopped_by)


@test("stop: a request that was not complete is not answered as if it were")
def partial_request():
    with Server() as server, Client(server) as client:
        client.send(b"10\n1")
        check_equal(client.line(), "55")
        time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        client.expect_end("")
        check_equal(server.wait(), 0, "exit code")


@test("stop: what takes longer than --drain-timeout is cancelled; the exit code is 0")
def drain_limit():
    with Server("--max-n", 93, "--drain-timeout", 0.5) as server, Client(server) as slow, Client(server) as deaf:
        slow.send(b"93\n")
        deaf.socket.settimeout(0.3)
        try:
            deaf.send(b"40000\n" * 2_000_000)
        except TimeoutError:
            pass
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        check_equal(server.wait(), 0, "exit code")
        took = time.monotonic() - began
        check(0.4 < took < patience(3), f"it took {took} s")


@test("stop: a second SIGINT ends it at once with 130, a second SIGTERM with 143")
def second_signal():
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with Server("--max-n", 93, "--drain-timeout", 60) as server, Client(server) as client:
            client.send(b"93\n")
            time.sleep(0.2)
            server.send_signal(number)
            expect_refused(server.port)
            began = time.monotonic()
            server.send_signal(number)
            check_equal(server.wait(), code, "exit code")
            took = time.monotonic() - began
            check(took < patience(1), f"it took {took} s")


@test("stop: clients that go on sending do not keep it beyond the drain time")
def flood_while_draining():
    with Server("--drain-timeout", 0.5) as server, Client(server) as client:
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        try:
            while time.monotonic() < began + patience(3):
                client.send(b"10\n" * 100)
                client.socket.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        check_equal(server.wait(), 0, "exit code")


@test("stop: a signal in the first moment ends it too")
def early_signal():
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        process = subprocess.Popen(
            [SETTINGS["fib_server"], "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(delay)
        process.terminate()
        _, err = process.communicate(timeout=patience(5))
        check(process.returncode in (0, -signal.SIGTERM), f"exit code {process.returncode}, stderr {err!r}")


@test("signals: stopped and continued, it goes on where it was")
def stopped_and_continued():
    with Server() as server, Client(server) as client:
        check_equal(client.ask("10"), "55")
        for _ in range(2):
            server.send_signal(signal.SIGSTOP)
            eventually(lambda: server.state() == "T", 2, "it is stopped")
            client.send(b"20\n")
            with Client(server) as late:
                late.send(b"25\n")
                client.expect_silence(0.1)
                server.send_signal(signal.SIGCONT)
                check_equal((client.line(), late.line()), ("6765", "75025"))


@test("signals: SIGHUP ends it, as a terminal that goes away ends its programs")
def hang_up():
    with Server() as server:
        server.send_signal(signal.SIGHUP)
        check_equal(server.wait(), -signal.SIGHUP, "exit code")


@test("signals: SIGUSR1, SIGPIPE, SIGCHLD and SIGWINCH leave it alone")
def harmless_signals():
    with Server() as server, Client(server) as client:
        for number in (signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH):
            server.send_signal(number)
            check_equal(client.ask("10"), "55")


@test("signals: SIGQUIT ends it at once")
def quit_signal():
    with Server(shell="ulimit -c 0") as server, Client(server) as client:
        check_equal(client.ask("10"), "55")
        server.send_signal(signal.SIGQUIT)
        check_equal(server.wait(), -signal.SIGQUIT, "exit code")


def nc(server, sent, *options):
    if shutil.which("nc") is None:
        raise Skip("nc is not installed")
    result = subprocess.run(
        ["nc", *options, "127.0.0.1", str(server.port)],
        input=sent, capture_output=True, timeout=patience(10), check=False,
    )
    if b"usage" in result.stderr or b"invalid option" in result.stderr:
        raise Skip(f"this nc does not know {' '.join(options)}")
    return result.stdout


@test("nc: printf '10\\n20\\n' | nc -N gets both answers")
def nc_half_closes():
    with Server() as server:
        check_equal(nc(server, b"10\n20\n", "-N"), b"55\n6765\n")
        check_equal(nc(server, b"10", "-N"), b"55\n")


@test("nc: without -N it stays until the idle timeout")
def nc_stays():
    with Server("--idle-timeout", 0.5) as server:
        check_equal(nc(server, b"10\n20\n"), b"55\n6765\n")
        check_equal(nc(server, b"10\n20\n", "-q1"), b"55\n6765\n")
