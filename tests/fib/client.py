"""A client of the line protocol, good or bad."""
import errno
import socket
import struct
import time

from server import eventually, patience
from server_kit import check_equal

TCP_INFO_DATA_SEGMENTS_IN = 152  # offset in struct tcp_info

FIN = "FIN"
RESET = "RST"


class Client:
    def __init__(self, server, receive_buffer=None, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(patience(20))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect((host, server.port))
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def end_input(self):
        """What `nc -N` does at the end of its input."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def line(self):
        """The next answer without its newline; fails at the end of the stream."""
        while b"\n" not in self.received:
            got = self._receive()
            if not got:
                raise AssertionError(f"the stream ended after {self.received!r} where a line was expected")
            self.received += got
        line, _, self.received = self.received.partition(b"\n")
        return line.decode("ascii")

    def lines(self, count):
        return [self.line() for _ in range(count)]

    def ask(self, text):
        self.send(text.encode() + b"\n")
        return self.line()

    def timed_ask(self, text):
        began = time.monotonic()
        answer = self.ask(text)
        return answer, time.monotonic() - began

    def rest(self):
        """All that comes until the end, and how it ended: FIN or RESET."""
        data, self.received = self.received, b""
        while True:
            try:
                got = self._receive()
            except ConnectionResetError:
                return data, RESET
            if not got:
                return data, FIN
            data += got

    def expect_end(self, text, how=FIN):
        check_equal(self.rest(), (text.encode(), how))

    def expect_silence(self, seconds):
        self.socket.settimeout(seconds)
        try:
            got = self.socket.recv(1000)
        except TimeoutError:
            got = None
        finally:
            self.socket.settimeout(patience(20))
        check_equal(got, None, "the server sent")

    def _receive(self):
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"no answer within {patience(20):g} s, after {self.received[-80:]!r}") from None

    def data_segments_in(self):
        """How many packets with data have come."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return struct.unpack_from("I", info, TCP_INFO_DATA_SEGMENTS_IN)[0]


def expect_refused(port, within=2):
    """Nobody listens there any more."""

    def refused():
        with socket.socket() as s:
            s.settimeout(patience(2))
            return s.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

    eventually(refused, within, "new connections are refused")


def number_that_takes(server, seconds):
    """The least n that costs so much processor time to compute, and how much it costs about."""
    with Client(server) as client:
        n, took = 24, 0.0
        while took < seconds / 8:
            n += 1
            before = server.cpu_seconds()
            client.ask(str(n))
            took = server.cpu_seconds() - before
    while took < seconds:
        n += 1
        took *= 1.618
    return n, took
