"""Long lines, slow lines, last lines, and what silence leads to."""
import time

from client import FIN, Client, number_that_takes
from server import SETTINGS, Server, patience
from server_kit import check, check_equal, test

TOO_LONG = "ERR line too long"


def number_of(length):
    """10, written with so many digits."""
    return b"10".rjust(length, b"0") + b"\n"


def check_line_limit(client, limit):
    for length, expected in ((limit - 1, "55"), (limit, "55"), (limit + 1, TOO_LONG), (limit, "55")):
        client.send(number_of(length))
        check_equal(client.line(), expected, f"{length} bytes")


@test("limits: a line of 63 and of 64 bytes is served, one of 65 is too long")
def default_line_limit():
    with Server() as server, Client(server) as client:
        check_line_limit(client, 64)


@test("limits: --max-line - 1, --max-line and --max-line + 1")
def line_limit():
    for limit in (3, 4095, 4096, 5000, 20000):
        with Server("--max-line", limit) as server, Client(server) as client:
            check_line_limit(client, limit)


@test("long line: one error as soon as the limit is passed, nothing more up to its newline, then it goes on")
def long_line():
    with Server() as server, Client(server) as client:
        client.send(b"1" * 64)
        client.expect_silence(0.15)
        client.send(b"1")
        check_equal(client.line(), TOO_LONG)
        for _ in range(20):
            client.send(b"7" * 1000)
        client.expect_silence(0.15)
        client.send(b"\n10\n")
        check_equal(client.line(), "55")


@test("long line: several of them among good ones, all in one go")
def long_lines():
    with Server() as server, Client(server) as client:
        client.send((b"5\n" + b"x" * 100 + b"\n" + b"6\n" + b"y" * 9000 + b"\n\n") * 3)
        check_equal(client.lines(15), ["5", TOO_LONG, "8", TOO_LONG, "ERR empty"] * 3)


@test("long line: one that ends with the stream gets its error, then FIN")
def long_last_line():
    with Server() as server, Client(server) as client:
        client.send(b"5\n" + b"1" * 70)
        client.end_input()
        client.expect_end("5\nERR line too long\n")


def expect_skipped(server, length, connection_survives):
    """A line of that length, newline not counted, sent after its first 70 bytes were refused."""
    with Client(server) as client:
        client.send(b"1" * 70)
        check_equal(client.line(), TOO_LONG)
        client.send(b"1" * (length - 70) + b"\n10\n")
        if connection_survives:
            check_equal(client.line(), "55", f"{length} bytes, then")
        else:
            check_equal(client.rest()[0], b"", f"{length} bytes, then")


@test("limits: --max-skip - 1, --max-skip and --max-skip + 1 bytes of a line that is too long")
def skip_limit():
    for options, limit in ((["--max-skip", 100], 100), (["--max-skip", 5000], 5000), ([], 65536)):
        with Server(*options) as server:
            expect_skipped(server, limit - 1, True)
            expect_skipped(server, limit, True)
            expect_skipped(server, limit + 1, False)


@test("no newline ever: the client is closed after 64 KiB, and the server's memory stays as it was")
def dev_zero():
    with Server() as server:
        with Client(server) as first:
            check_equal(first.ask("10"), "55")
        before = server.rss()
        for _ in range(5):
            sent = zeros_until_closed(server)
            check(sent < 16 * 2**20, f"{sent} bytes could be sent")
        grown = server.rss() - before
        with Client(server) as last:
            check_equal(last.ask("10"), "55")
    if SETTINGS["sanitized"]:
        return
    check(grown < 2**20, f"memory has grown by {grown} bytes")


def zeros_until_closed(server):
    """How much could be sent, most of it into the kernel's buffers."""
    with Client(server) as client:
        sent = 0
        end = time.monotonic() + patience(10)
        try:
            while time.monotonic() < end:
                sent += client.socket.send(bytes(65536))
        except (BrokenPipeError, ConnectionResetError):
            return sent
        raise AssertionError("the server went on taking zeros")


@test("no newline ever: the client is closed when the time for a line is over, after one error")
def endless_slow_line():
    with Server("--line-timeout", 0.4) as server, Client(server) as client:
        client.send(b"1" * 65)
        check_equal(client.line(), TOO_LONG)
        began = time.monotonic()
        check_equal(client.rest(), (b"", FIN))
        took = time.monotonic() - began
        check(0.3 < took < patience(2), f"it took {took} s")


@test("slow line: bytes with pauses between them are put together")
def slow_bytes():
    with Server() as server, Client(server) as client:
        for byte in (b"1", b"0", b"\r", b"\n", b" ", b"2", b"0", b"\n"):
            client.send(byte)
            time.sleep(0.1)
        check_equal(client.lines(2), ["55", "6765"])


@test("slow line: when the time from its first byte is over, ERR timeout and close")
def line_timeout():
    with Server("--line-timeout", 0.5) as server, Client(server) as client:
        time.sleep(0.7)  # silence before the first byte does not count
        check_equal(client.ask("10"), "55")
        began = time.monotonic()
        client.send(b"1")
        check_equal(client.rest(), (b"ERR timeout\n", FIN))
        took = time.monotonic() - began
        check(0.4 < took < patience(2), f"it took {took} s")


@test("slow line: a byte now and then does not put the time off")
def trickle():
    with Server("--line-timeout", 0.5) as server, Client(server) as client:
        began = time.monotonic()
        try:
            for _ in range(60):
                client.send(b"1")
                time.sleep(0.05)
        except (BrokenPipeError, ConnectionResetError):
            pass
        check_equal(client.rest()[0], b"ERR timeout\n")
        took = time.monotonic() - began
        check(0.4 < took < patience(2.5), f"it took {took} s")


@test("limits: a line that takes a little less than --line-timeout is answered")
def just_in_time():
    with Server("--line-timeout", patience(0.8)) as server, Client(server) as client:
        for _ in range(3):
            client.send(b"1")
            time.sleep(patience(0.4))
            check_equal(client.ask("0"), "55")


@test("slow line: it does not matter what came with the line before")
def timeout_behind_a_line():
    with Server("--line-timeout", 0.3) as server, Client(server) as client:
        client.send(b"10\n1")
        check_equal(client.rest(), (b"55\nERR timeout\n", FIN))


@test("last line: without a newline it is a line too, then FIN")
def no_final_newline():
    with Server() as server:
        for sent, expected in ((b"10", "55\n"), (b"10\n20", "55\n6765\n"), (b"x", "ERR not a number\n")):
            with Client(server) as client:
                client.send(sent)
                client.end_input()
                client.expect_end(expected)


@test("last line: nothing at all is no line")
def nothing_at_all():
    with Server() as server, Client(server) as client:
        client.end_input()
        client.expect_end("")


@test("half-close: all answers come, then FIN and no reset")
def half_close():
    with Server() as server:
        for repeats in (1, 100):
            with Client(server) as client:
                client.send(b"10\n30\nx\n25\n\n" * repeats)
                client.end_input()
                client.expect_end("55\n832040\nERR not a number\n75025\nERR empty\n" * repeats)


@test("idle: a silent connection is closed with FIN when its time is over")
def idle_timeout():
    with Server("--idle-timeout", 0.4) as server, Client(server) as client:
        began = time.monotonic()
        client.expect_end("")
        took = time.monotonic() - began
        check(0.3 < took < patience(2), f"it took {took} s")


@test("idle: every line starts the time anew")
def idle_again():
    with Server("--idle-timeout", patience(0.8)) as server, Client(server) as client:
        for _ in range(4):
            time.sleep(patience(0.3))
            check_equal(client.ask("10"), "55")
        client.expect_end("")


@test("idle: waiting for a computation is not silence")
def computing_is_not_idle():
    with Server("--idle-timeout", 0.3, "--max-n", 60) as server:
        n, _ = number_that_takes(server, 1)
        with Client(server) as client:
            answer, took = client.timed_ask(str(n))
            check(answer.isdigit(), f"the answer is {answer!r}")
            check(took > 0.35, f"computing {n} took only {took} s, which shows nothing")
