"""Talks TLS with the echo server that uses OpenSSL in fibers: test_tls.py FOLDER [--sanitized]"""
import contextlib
import functools
import pathlib
import random
import re
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from server_kit import LIMIT, Server, Skip, check, check_equal, has_thread_sanitizer, run_tests, test
from tls_kit import built_with_openssl, certificate, need

FOLDER = pathlib.Path(sys.argv[1])
SANITIZED = "--sanitized" in sys.argv
MUCH = (4 if SANITIZED else 64) << 20  # bytes
MANY = 200  # connections
TICK_LIMIT = 20_000 if SANITIZED else 2_000  # ms; generous: the machine may be busy with other things



def tls_echo_server(*more):
    program = built_with_openssl(FOLDER / "tls_echo_server")
    cert, key = certificate("localhost")
    return Server(program, "--cert", cert, "--key", key, "--port", "0", *more)


def wait_until(condition, why):
    """Asks again and again, because no event tells when a server has noticed something."""
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, why())
        time.sleep(0.01)


# --- A client that never waits, so that one thread can have many of them


@functools.cache
def trusting(version=None):
    context = ssl.create_default_context(cafile=certificate("localhost")[0])
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Exchange:
    """Sends data and then a close-notify, and compares what comes back. hold: the data waits until release()."""

    def __init__(self, server, data, hold=False, version=None):
        self.socket = server.connect()
        self.socket.setblocking(False)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting(version).wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._data = memoryview(data)
        self._sent = self.received = 0
        self._hold = hold
        self._to_send = memoryview(b"")  # what the socket has not taken yet
        self._closed = False  # the close-notify is on its way
        self.received_when_closed = None
        self.shaken_hands = self.ended = False

    def release(self):
        self._hold = False

    def step(self):
        """Does all that can be done now; gives the events to wait for."""
        self._take_in()
        if not self.shaken_hands:
            self._shake_hands()
        if self.shaken_hands:
            self._read()
            self._write()
        return self._send_out()

    def _take_in(self):
        try:
            while part := self.socket.recv(1 << 18):
                self._incoming.write(part)
                if self._incoming.pending >= 1 << 20:
                    return
            self._incoming.write_eof()
        except BlockingIOError:
            pass

    def _shake_hands(self):
        try:
            self._tls.do_handshake()
            self.shaken_hands = True
        except ssl.SSLWantReadError:
            pass

    def _read(self):
        try:
            while part := self._tls.read(1 << 16):
                expected = self._data[self.received:self.received + len(part)]
                check(expected == part, f"other bytes came back, between {self.received} and {len(part)} more")
                self.received += len(part)
            self.ended = True
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLWantReadError:
            pass

    def _write(self):
        while not self._hold and self._sent < len(self._data) and self._outgoing.pending < 1 << 18:
            self._sent += self._tls.write(self._data[self._sent:self._sent + (1 << 14)])
        if self._sent == len(self._data) and not self._hold and not self._closed and not self.ended:
            self._closed = True
            self.received_when_closed = self.received
            with contextlib.suppress(ssl.SSLWantReadError):  # the close-notify of the other side is not there yet
                self._tls.unwrap()

    def _send_out(self):
        try:
            while self._to_send or self._outgoing.pending:
                if not self._to_send:
                    self._to_send = memoryview(self._outgoing.read())
                self._to_send = self._to_send[self.socket.send(self._to_send):]
        except BlockingIOError:
            return selectors.EVENT_READ | selectors.EVENT_WRITE
        return selectors.EVENT_READ

    def send_until_nothing_is_taken(self):
        """And reads nothing meanwhile, so that the server cannot send either."""
        self.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                self._tls.write(bytes(1 << 14))
                self.socket.sendall(self._outgoing.read())

    def check_complete(self):
        check_equal(self.received, len(self._data), "bytes that came back before the close-notify:")


def drive(exchanges, until):
    """Goes on with all of them until each fulfils the condition."""
    with selectors.DefaultSelector() as selector:
        waiting = 0
        for each in exchanges:
            waiting += go_on(each, until, selector)
        while waiting:
            ready = selector.select(LIMIT)
            check(ready, f"{waiting} connections wait for ever")
            waiting -= sum(not go_on(key.data, until, selector) for key, _ in ready)


def go_on(exchange, until, selector):
    """True: it is to be driven on."""
    events = exchange.step()
    done = until(exchange) and events == selectors.EVENT_READ
    known = exchange.socket in selector.get_map()
    if done:
        if known:
            selector.unregister(exchange.socket)
    elif known:
        selector.modify(exchange.socket, events, exchange)
    else:
        selector.register(exchange.socket, events, exchange)
    return not done


def drive_to_the_end(exchanges):
    drive(exchanges, until=lambda each: each.ended)
    for each in exchanges:
        each.check_complete()
        each.socket.close()


def shake_hands(exchanges):
    drive(exchanges, until=lambda each: each.shaken_hands)


# --- tls_echo_server


@test(f"tls_echo_server: {MUCH >> 20} MiB come back as they were sent, and then the close-notify")
def _():
    data = random.Random(1).randbytes(MUCH)
    with tls_echo_server() as server:
        began = time.monotonic()
        drive_to_the_end([Exchange(server, data)])
        print(f"     {MUCH / (time.monotonic() - began) / 1e6:.0f} MB/s there, and as much back")
        check_equal(server.stop(), 0)
        check_equal(server.errors(), "")


@test("tls_echo_server: after the client's close-notify it sends what was in flight, and then its own")
def _():
    data = random.Random(2).randbytes(200_000)
    with tls_echo_server() as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            exchange = Exchange(server, data, hold=True, version=version)
            shake_hands([exchange])
            exchange.release()
            drive_to_the_end([exchange])
            check(exchange.received_when_closed < len(data), "the client closed when everything had come back")
        check_equal(server.errors(), "")


@test(f"tls_echo_server: serves {MANY} connections at a time, while a ticker stays on time")
def _():
    data = random.Random(3).randbytes(MUCH // MANY)
    with tls_echo_server("--tick") as server:
        idle = resident(server)
        exchanges = [Exchange(server, data, hold=True) for _ in range(MANY)]
        shake_hands(exchanges)
        print(f"     {(resident(server) - idle) / MANY / 1024:.0f} KiB a connection")
        for each in exchanges:
            each.release()
        drive_to_the_end(exchanges)
        check_equal(server.stop(), 0)
        check_equal(server.errors(), "")
        said = server.process.stdout.read().decode()
        late = re.fullmatch(r"the worst tick was (\d+) ms late\n", said)
        check(late, f"it said {said!r}")
        print(f"     the worst tick was {late[1]} ms late")
        check(int(late[1]) < TICK_LIMIT, f"a tick was {late[1]} ms late")


@test("tls_echo_server: openssl s_client gets its lines back, and its close-notify is answered")
def _():
    need("openssl")
    with tls_echo_server() as server:
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", "localhost:%d" % server.addresses[0][1], "-CAfile",
             certificate("localhost")[0], "-verify_return_error", "-verify_hostname", "localhost", "-quiet",
             "-no_ign_eof"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in (b"first\n", b"second\n"):
            client.stdin.write(line)
            client.stdin.flush()
            check_equal(client.stdout.readline(), line)
        out, _ = client.communicate(timeout=LIMIT)
        check_equal((out, client.returncode), (b"", 0))
        check_equal(server.stop(), 0)
        check_equal(server.errors(), "")


@test("tls_echo_server: curl verifies its certificate, and gets its request back")
def _():
    need("curl")
    with tls_echo_server() as server:
        curl = subprocess.Popen(
            ["curl", "--silent", "--no-buffer", "--http0.9", "--http1.1", "--noproxy", "*", "--cacert",
             certificate("localhost")[0], "--max-time", str(LIMIT), f"https://localhost:{server.addresses[0][1]}/x"],
            stdout=subprocess.PIPE)
        try:
            check_equal(curl.stdout.readline(), b"GET /x HTTP/1.1\r\n")
        finally:
            curl.kill()
            curl.communicate()


@test("tls_echo_server: a client that says no TLS is an error of its own, also beside many who do")
def _():
    strangers, data = 50, random.Random(4).randbytes(100_000)
    with tls_echo_server() as server, contextlib.ExitStack() as open_ones:
        exchanges = [Exchange(server, data, hold=True) for _ in range(20)]
        shake_hands(exchanges)
        plain = [open_ones.enter_context(server.connect()) for _ in range(strangers)]
        for each in exchanges:
            each.release()
        for client in plain:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        drive_to_the_end(exchanges)
        wait_until(lambda: server.errors().count("\n") >= strangers, lambda: f"stderr is {server.errors()!r}")
        check_equal(set(server.errors().splitlines()), {"a session failed: TLS handshake: http request"})
        drive_to_the_end([Exchange(server, b"still there")])


@test("tls_echo_server: a client that does not trust it is told apart from one that is cut off")
def _():
    with tls_echo_server() as server:
        with contextlib.suppress(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(server.connect(), server_hostname="localhost")
        wait_until(lambda: "alert unknown ca" in server.errors(), lambda: f"stderr is {server.errors()!r}")
        cut_off = Exchange(server, b"x", hold=True)
        shake_hands([cut_off])
        cut_off.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: server.errors().endswith("a session failed: the connection was cut off\n"),
                   lambda: f"stderr is {server.errors()!r}")
        cut_off.socket.close()


@test("tls_echo_server: outlives clients that reset, in the handshake and in the middle of the data")
def _():
    with tls_echo_server() as server:
        idle = server.descriptors()
        for _ in range(20):
            for shaken, data in ((False, b""), (True, b"x" * 1_000_000)):
                client = Exchange(server, data)
                if shaken:
                    shake_hands([client])
                client.step()
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.socket.close()
        wait_until(lambda: server.descriptors() <= idle, lambda: "clients that left kept descriptors")
        drive_to_the_end([Exchange(server, b"still there")])
        check_equal(server.stop(), 0)


def skip_if_signals_may_be_kept(server):
    if has_thread_sanitizer(server.process.args[0]):
        raise Skip("the thread sanitizer may keep a signal for itself that comes while a fiber runs")


@test("tls_echo_server: SIGTERM and SIGINT end it with status 0, and its clients with a close-notify")
def _():
    for number in (signal.SIGTERM, signal.SIGINT):
        with tls_echo_server() as server, server.connect():
            clients = [Exchange(server, b"", hold=True) for _ in range(5)]
            shake_hands(clients)
            skip_if_signals_may_be_kept(server)
            server.process.send_signal(number)
            drive(clients, until=lambda each: each.ended)
            check_equal(server.process.wait(LIMIT), 0)
            for each in clients:
                each.socket.close()


@test("tls_echo_server: SIGTERM ends it with status 0 also while clients take nothing or never shake hands")
def _():
    with tls_echo_server() as server, server.connect() as silent:
        silent.sendall(b"\x16")  # the first byte of a handshake
        stuck = Exchange(server, b"", hold=True)
        shake_hands([stuck])
        stuck.send_until_nothing_is_taken()
        skip_if_signals_may_be_kept(server)
        server.process.send_signal(signal.SIGTERM)
        check_equal(server.process.wait(LIMIT), 0)
        stuck.socket.close()


@test("tls_echo_server: files that hold no certificate or not its key are errors that say so")
def _():
    program = built_with_openssl(FOLDER / "tls_echo_server")
    cert, key = certificate("localhost")
    for arguments, expected in (((cert, certificate("elsewhere")[1]), "key values mismatch"),
                                ((key, key), "no start line"), (("/missing.pem", key), "No such file")):
        ended = subprocess.run([program, "--cert", arguments[0], "--key", arguments[1]], capture_output=True, text=True,
                               timeout=LIMIT)
        check_equal(ended.returncode, 1)
        check(expected.lower() in ended.stderr.lower(), f"stderr is {ended.stderr!r}")


def resident(server):
    """units: bytes."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


sys.exit(run_tests())
