"""What one line is answered: each is exactly one line, whatever it holds."""
import functools
import threading

from client import FIN, Client
from server import Server
from server_kit import check, check_equal, test

NOT_A_NUMBER = "ERR not a number"
OUT_OF_RANGE = "ERR out of range (0..40)"
EMPTY = "ERR empty"

ROWS = [
    (b"10\n", "55"),
    (b"10\r\n", "55"),
    (b" 10 \t\n", "55"),
    (b"\t10\n", "55"),
    (b" 10 \t\r\n", "55"),
    (b"007\n", "13"),
    (b"0\n", "0"),
    (b"00\n", "0"),
    (b"1\n", "1"),
    (b"2\n", "1"),
    (b"11\n", "89"),
    (b"12\n", "144"),
    (b"20\n", "6765"),
    (b"25\n", "75025"),
    (b"0" * 62 + b"10\n", "55"),
    (b"\n", EMPTY),
    (b"\r\n", EMPTY),
    (b"   \n", EMPTY),
    (b" \t \r\n", EMPTY),
    (b"\t\n", EMPTY),
    (b"-1\n", OUT_OF_RANGE),
    (b"-0\n", OUT_OF_RANGE),
    (b"-99999999999999999999\n", OUT_OF_RANGE),
    (b"-\n", NOT_A_NUMBER),
    (b"--1\n", NOT_A_NUMBER),
    (b"- 1\n", NOT_A_NUMBER),
    (b"+5\n", NOT_A_NUMBER),
    (b"1e3\n", NOT_A_NUMBER),
    (b"3.0\n", NOT_A_NUMBER),
    (b"3,0\n", NOT_A_NUMBER),
    (b"0x10\n", NOT_A_NUMBER),
    (b"ten\n", NOT_A_NUMBER),
    (b"1 2\n", NOT_A_NUMBER),
    (b"1\t2\n", NOT_A_NUMBER),
    (b"10;20\n", NOT_A_NUMBER),
    (b"10a\n", NOT_A_NUMBER),
    (b"1\r0\n", NOT_A_NUMBER),
    (b"10\r\r\n", NOT_A_NUMBER),
    (b"\r10\n", NOT_A_NUMBER),
    (b"10\r \n", NOT_A_NUMBER),
    (b"10\v\n", NOT_A_NUMBER),
    (b"10\f\n", NOT_A_NUMBER),
    (b"nan\n", NOT_A_NUMBER),
    (b"inf\n", NOT_A_NUMBER),
    ("\u0661\u0660\n".encode(), NOT_A_NUMBER),  # Arabic digits
    ("\uff11\uff10\n".encode(), NOT_A_NUMBER),  # full-width digits
    ("\u00a010\n".encode(), NOT_A_NUMBER),  # a space, but not of ours
    ("\ufeff10\n".encode(), NOT_A_NUMBER),  # byte order mark
    ("\u00e9\n".encode(), NOT_A_NUMBER),
    (b"\0\n", NOT_A_NUMBER),
    (b"10\0\n", NOT_A_NUMBER),
    (b"1\x000\n", NOT_A_NUMBER),
    (b"\xff\n", NOT_A_NUMBER),
    (b"\xff\xff\xff\xff\n", NOT_A_NUMBER),
    (b"\xff\xfd\x03\xff\xfb\x1810\n", NOT_A_NUMBER),  # telnet: IAC DO ..., IAC WILL ...
    (b"\xc0\x80\n", NOT_A_NUMBER),
    (b"\x1b[2J\n", NOT_A_NUMBER),
    (b"%s%n\n", NOT_A_NUMBER),
    (b"{}\n", NOT_A_NUMBER),
    (b"41\n", OUT_OF_RANGE),
    (b"93\n", OUT_OF_RANGE),
    (b"94\n", OUT_OF_RANGE),
    (b"256\n", OUT_OF_RANGE),
    (b"4294967301\n", OUT_OF_RANGE),  # 2^32 + 5
    (b"18446744073709551615\n", OUT_OF_RANGE),
    (b"18446744073709551621\n", OUT_OF_RANGE),  # 2^64 + 5
    (b"99999999999999999999\n", OUT_OF_RANGE),
    (b"9" * 64 + b"\n", OUT_OF_RANGE),
]


class Shared:
    """One server for all rows; it is stopped by the last test."""

    lock = threading.Lock()

    @classmethod
    @functools.lru_cache
    def start(cls):
        return Server()

    @classmethod
    def server(cls):
        with cls.lock:
            return cls.start()


def row_is_answered(sent, expected):
    with Client(Shared.server()) as client:
        client.send(sent)
        check_equal(client.line(), expected)
        check_equal(client.ask("10"), "55", "the line after it gave")


for sent_, expected_ in ROWS:
    test(f"grammar: {sent_!r} is answered {expected_!r}, and the next line is served")(
        functools.partial(row_is_answered, sent_, expected_)
    )


@test("grammar: all rows in one go get one answer each, in order")
def pipelined():
    with Client(Shared.server()) as client:
        client.send(b"".join(sent for sent, _ in ROWS))
        check_equal(client.lines(len(ROWS)), [expected for _, expected in ROWS])


@test("grammar: all rows byte by byte get the same answers")
def byte_by_byte():
    with Client(Shared.server()) as client:
        for sent, expected in ROWS:
            for byte in sent:
                client.send(bytes([byte]))
            check_equal(client.line(), expected, repr(sent))


@test("grammar: every single byte as a line gets one answer")
def single_bytes():
    with Client(Shared.server()) as client:
        for byte in range(256):
            if byte == ord("\n"):
                continue
            digit = "0" <= chr(byte) <= "9"
            blank = chr(byte) in " \t\r"
            wanted = {0: "0", 1: "1", 2: "1", 3: "2", 4: "3", 5: "5", 6: "8", 7: "13", 8: "21", 9: "34"}
            expected = wanted[byte - ord("0")] if digit else EMPTY if blank else NOT_A_NUMBER
            client.send(bytes([byte, ord("\n")]))
            check_equal(client.line(), expected, f"byte {byte}")


@test("grammar: 40 is answered, and is the largest by default")
def default_limit():
    with Client(Shared.server()) as client:
        client.send(b"39\n40\n41\n")
        check_equal(client.lines(3), ["63245986", "102334155", OUT_OF_RANGE])


@test("limits: --max-n - 1, --max-n and --max-n + 1")
def max_n():
    with Server("--max-n", 20) as server, Client(server) as client:
        client.send(b"19\n20\n21\n")
        check_equal(client.lines(3), ["4181", "6765", "ERR out of range (0..20)"])


@test("limits: with --max-n 93, 94 and what 64 bits cannot hold are out of range")
def largest_max_n():
    with Server("--max-n", 93) as server, Client(server) as client:
        client.send(b"94\n18446744073709551626\n99999999999999999999\n10\n")
        check_equal(client.lines(4), ["ERR out of range (0..93)"] * 3 + ["55"])


@test("limits: --max-n 0 answers 0 alone")
def smallest_max_n():
    with Server("--max-n", 0) as server, Client(server) as client:
        client.send(b"0\n1\n")
        check_equal(client.lines(2), ["0", "ERR out of range (0..0)"])


@test("grammar: nothing of what clients sent gets into the log", alone=True)
def log_is_clean():
    server = Shared.server()
    with server:
        with Client(server) as client:
            client.send(b"".join(sent for sent, _ in ROWS))
            client.end_input()
            check_equal(client.rest()[1], FIN)
    check(all("warning" in line for line in server.errors), f"the log is {server.errors}")
