"""Talks to the examples that serve, except the fib server, which has tests of its own: test_servers.py FOLDER"""
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from server_kit import LIMIT, LineClient, Server, Skip, check, check_equal, run_tests, test

FOLDER = pathlib.Path(sys.argv[1])


def reset(connection):
    """Closes so that the other side gets an RST instead of an end of stream."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def receive_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def wait_until(condition, why):
    """Asks again and again, because no event tells when a server has noticed that a client left."""
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, why)
        time.sleep(0.01)


# --- echo_server ---


def echo_server():
    return Server(FOLDER / "echo_server", "0")


@test("echo_server: sends back 1 MiB, then the end of the stream")
def _():
    data = random.Random(1).randbytes(1 << 20)
    with echo_server() as server, server.connect() as client:

        def send():
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        echoed = receive_all(client)
        sender.join(LIMIT)
        check(echoed == data, f"{len(echoed)} of {len(data)} bytes came back, or other ones")


@test("echo_server: serves many clients at a time")
def _():
    with echo_server() as server:
        clients = [LineClient(server.connect()) for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(f"client {number}\n")
        for number, client in reversed(list(enumerate(clients))):
            check_equal(client.read_line(), f"client {number}")
            client.close()


@test("echo_server: outlives a client that resets")
def _():
    with echo_server() as server:
        for _ in range(20):
            client = server.connect()
            client.sendall(b"x" * 100_000)
            reset(client)
        with LineClient(server.connect()) as client:
            check_equal(client.ask("still there"), "still there")


@test("echo_server: SIGTERM and SIGINT end it with status 0")
def _():
    for number in (signal.SIGTERM, signal.SIGINT):
        with echo_server() as server, server.connect():
            check_equal(server.stop(number), 0)
            check_equal(server.errors(), "")


@test("echo_server: a port in use is an error that names it")
def _():
    with echo_server() as server:
        port = server.addresses[0][1]
        second = subprocess.run([FOLDER / "echo_server", str(port)], capture_output=True, text=True, timeout=LIMIT)
        check_equal(second.returncode, 1)
        check(f":{port}: address already in use" in second.stderr, f"stderr is {second.stderr!r}")


# --- istream_lines ---


def istream_lines():
    if not (FOLDER / "istream_lines").exists():
        raise Skip("it was built without fibers")
    return Server(FOLDER / "istream_lines", "0")


@test("istream_lines: computes line by line, and says what it does not understand")
def _():
    syntax = "ERR not NUMBER + - * or / NUMBER"
    expected = {"6 * 7": "42", "1.5-3": "-1.5", "  8 / 2 \r": "4", "1 / 0": "ERR division by zero", "": syntax,
                "2 ^ 3": "ERR no operator ^", "1 + 2 3": syntax, "one + two": syntax, "9" * 10_000: syntax}
    with istream_lines() as server, LineClient(server.connect()) as client:
        check_equal([client.ask(line) for line in expected], list(expected.values()))


@test("istream_lines: puts lines together, takes them apart, and answers a last one without an end")
def _():
    with istream_lines() as server, LineClient(server.connect()) as client:
        for byte in b"2 + 3\n":
            client.send(bytes([byte]))
        check_equal(client.read_line(), "5")
        client.send("7 * 8\n" * 5000)
        check_equal({client.read_line() for _ in range(5000)}, {"56"})
        client.send("1 + 1")
        client.socket.shutdown(socket.SHUT_WR)
        check_equal([client.read_line(), client.read_line()], ["2", ""])


@test("istream_lines: serves many clients at a time, each in the middle of a line")
def _():
    with istream_lines() as server:
        clients = [LineClient(server.connect()) for _ in range(100)]
        for number, client in enumerate(clients):
            client.send(f"{number} *")
        for number, client in reversed(list(enumerate(clients))):
            check_equal(client.ask(" 2"), str(2 * number))
            client.close()


@test("istream_lines: outlives clients that reset, and ends with status 0 while others wait")
def _():
    for number in (signal.SIGTERM, signal.SIGINT):
        with istream_lines() as server, LineClient(server.connect()) as waiting:
            waiting.send("1 +")
            for _ in range(20):
                client = server.connect()
                client.sendall(b"1 + 1\n" * 10_000)
                reset(client)
            with LineClient(server.connect()) as client:
                check_equal(client.ask("3 - 1"), "2")
            check_equal(server.stop(number), 0)
            check_equal(server.errors(), "")


# --- beazley ---


def beazley():
    return Server(FOLDER / "beazley", "0")


@test("beazley: answers one line for one line")
def _():
    with beazley() as server, LineClient(server.connect()) as client:
        asked = ["0", "1", "2", "10", "007", "20", "41", "-1", "ten", "", "10"]
        wrong = "ERR not a number from 0 to 40"
        check_equal([client.ask(line) for line in asked],
                    ["0", "1", "1", "55", "13", "6765", wrong, wrong, wrong, wrong, "55"])


@test("beazley: puts lines together, and takes them apart")
def _():
    with beazley() as server, LineClient(server.connect()) as client:
        for byte in b"20\n":
            client.send(bytes([byte]))
        check_equal(client.read_line(), "6765")
        client.send("10\n" * 200)
        check_equal({client.read_line() for _ in range(200)}, {"55"})
        client.send("7\n8\n")
        client.socket.shutdown(socket.SHUT_WR)
        check_equal([client.read_line() for _ in range(3)], ["13", "21", ""])


@test("beazley: answers others while one number takes long")
def _():
    with beazley() as server, LineClient(server.connect()) as slow, LineClient(server.connect()) as quick:
        slow.send("40\n" * 20)
        check_equal([quick.ask(n) for n in range(7)], ["0", "1", "1", "2", "3", "5", "8"])
        check(len(received_so_far(slow.socket).splitlines()) < 20, "the quick ones had to wait for all of the slow ones")
        slow.socket.settimeout(LIMIT)
        check_equal(slow.read_line(), "102334155")


def received_so_far(connection):
    connection.setblocking(False)
    try:
        return connection.recv(4096, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


@test("beazley: serves many clients at a time")
def _():
    with beazley() as server:
        clients = [LineClient(server.connect()) for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(f"{number % 25}\n")
        answers = [0, 1]
        while len(answers) < 25:
            answers.append(answers[-1] + answers[-2])
        for number, client in reversed(list(enumerate(clients))):
            check_equal(client.read_line(), str(answers[number % 25]))
            client.close()


@test("beazley: clients that reset, leave early or send no end of line cost nothing in the long run")
def _():
    with beazley() as server:
        with LineClient(server.connect()) as client:
            check_equal(client.ask("10"), "55")
        wait_until(lambda: server.descriptors() == idle_descriptors(), "a client that left kept its descriptor")
        for _ in range(20):
            reset(server.connect())
            for text in (b"25\n", b"25\n" * 30, b"2"):
                client = server.connect()
                client.sendall(text)
                reset(client)
            with server.connect() as client:
                client.sendall(b"9" * 1000)
        wait_until(lambda: server.descriptors() == idle_descriptors(), "clients that left kept descriptors")
        with LineClient(server.connect()) as client:
            check_equal(client.ask("20"), "6765")


def idle_descriptors():
    """Standard input, output and error, the listener and the pair for futures."""
    return 6


@test("beazley: SIGINT simply ends it")
def _():
    with beazley() as server, LineClient(server.connect()) as client:
        client.send("40\n")
        check_equal(server.stop(signal.SIGINT), -signal.SIGINT)


# --- fib_tiny ---

FIB_TINY = ("127.0.0.1", 5566)


def port_is_free(address):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def connect_patiently(server, address):
    """fib_tiny does not say when it listens."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            return socket.create_connection(address, LIMIT)
        except ConnectionRefusedError:
            check(server.poll() is None, "fib_tiny ended at once")
            check(time.monotonic() < end, "fib_tiny does not listen")
            time.sleep(0.01)


@test("fib_tiny: is the server of the README")
def _():
    if not port_is_free(FIB_TINY):
        raise Skip("port 5566, where it listens, is taken")
    server = subprocess.Popen([FOLDER / "fib_tiny"], stdin=subprocess.DEVNULL)
    try:
        with LineClient(connect_patiently(server, FIB_TINY)) as client:
            check_equal([client.ask(n) for n in (20, 10, 1, 0)], ["6765", "55", "1", "0"])
            client.send("20\n" * 100)
            check_equal({client.read_line() for _ in range(100)}, {"6765"})
            reset(socket.create_connection(FIB_TINY, LIMIT))
            check_equal(client.ask(30), "832040")
        server.send_signal(signal.SIGINT)
        check_equal(server.wait(LIMIT), 0)
    finally:
        server.kill()
        server.wait()


sys.exit(run_tests())
