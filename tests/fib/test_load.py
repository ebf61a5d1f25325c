"""Much at once: requests in bulk, clients that do not read, slow computations, who is answered when."""
import socket
import threading
import time

from client import FIN, Client, number_that_takes
from server import SETTINGS, Server, eventually, patience
from server_kit import check, check_equal, test

MEBIBYTE = 2**20


def sent_in_background(client, data):
    """A thread that sends, so that this one can read meanwhile."""

    def send():
        client.send(data)
        client.end_input()

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


class PeakMemory:
    """The most memory that a server used while it was watched."""

    def __init__(self, server):
        self.server = server
        self.before = self.peak = server.rss()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self.done.wait(0.02):
            self.peak = max(self.peak, self.server.rss())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def expect_growth_below(self, limit):
        grown = self.peak - self.before
        check(SETTINGS["sanitized"] or grown < limit, f"memory has grown by {grown} bytes")


@test("bulk: 1 MB of `1` lines in one go are all answered, in bounded memory")
def many_ones():
    with Server() as server, Client(server) as client:
        check_equal(client.ask("10"), "55")
        with PeakMemory(server) as memory:
            sender = sent_in_background(client, b"1\n" * (MEBIBYTE // 2))
            data, end = client.rest()
            sender.join()
        check_equal((len(data), end), (MEBIBYTE, FIN))
        check(data == b"1\n" * (MEBIBYTE // 2), "some answer is not 1")
        memory.expect_growth_below(MEBIBYTE)


@test("bulk: 1 MB of different requests are answered in their order")
def many_different():
    requests = b"".join(b"%d\n" % (n % 15) for n in range(100_000)) + b"x\n\n" * 100_000
    numbers = [0, 1]
    while len(numbers) < 15:
        numbers.append(numbers[-1] + numbers[-2])
    answers = b"".join(b"%d\n" % numbers[n % 15] for n in range(100_000)) + b"ERR not a number\nERR empty\n" * 100_000
    with Server() as server, Client(server) as client:
        sender = sent_in_background(client, requests)
        data, end = client.rest()
        sender.join()
        check_equal((len(data), end), (len(answers), FIN))
        check(data == answers, "the answers differ")


@test("bulk: slow and quick requests of one client are answered in its order")
def slow_and_quick():
    with Server("--workers", 2) as server, Client(server) as client:
        client.send(b"30\n1\n29\nx\n2\n\n28\n10\n" * 3)
        expected = ["832040", "1", "514229", "ERR not a number", "1", "ERR empty", "317811", "55"]
        check_equal(client.lines(24), expected * 3)


def packets_for(server, requests):
    """In how many packets the answers come when that many requests come together."""
    with Client(server) as client:
        client.send(b"1\n" * requests)
        check_equal(client.lines(requests), ["1"] * requests)
        return client.data_segments_in()


@test("limits: answers go out when --max-pending - 1, --max-pending and --max-pending + 1 requests are answered")
def pending_limit():
    for options, limit in (([], 32), (["--max-pending", 5], 5), (["--max-pending", 1], 1)):
        with Server(*options) as server:
            packets = [packets_for(server, limit + more) for more in (-1, 0, 1) if limit + more]
            check_equal(packets, [1, 1, 2][-len(packets):], f"--max-pending {limit}: packets")


@test("limits: answers go out when they are --max-output - 1, --max-output and --max-output + 1 bytes")
def output_limit():
    with Server("--max-pending", 1_000_000, "--max-output", 200) as server:
        packets = [packets_for(server, requests) for requests in (99, 100, 101)]
        check_equal(packets, [1, 1, 2], "packets")
    with Server("--max-pending", 1_000_000, "--max-output", 199) as server:
        packets = [packets_for(server, requests) for requests in (99, 100, 101)]
        check_equal(packets, [1, 1, 2], "packets")


def unread_input(server, client):
    """Bytes that wait in the kernel for the server to read them."""
    port = client.socket.getsockname()[1]
    for line in server.proc("net/tcp").splitlines()[1:]:
        fields = line.split()
        is_ours = fields[1].endswith(f":{server.port:04X}") and fields[2].endswith(f":{port:04X}")
        if is_ours:
            return int(fields[4].split(":")[1], 16)
    raise AssertionError("the connection is not in /proc/net/tcp")


@test("bulk: while a number is computed, the requests after it wait unread")
def reading_pauses():
    with Server("--max-n", 93) as server, Client(server) as client:
        client.send(b"93\n")
        time.sleep(0.2)
        client.send(b"1\n" * 20_000)
        time.sleep(0.3)
        check(unread_input(server, client) > 30_000, "the server reads on")
        client.reset()


def send_without_reading(client, wanted):
    """Sends requests until the server has stopped reading."""
    client.socket.settimeout(0.5)
    sent = 0
    try:
        while sent < wanted:
            sent += client.socket.send(b"40000\n" * 10_000)
    except TimeoutError:
        pass
    client.socket.settimeout(patience(20))
    return sent


@test("a client that does not read: is cut off with RST, in bounded memory, while others are served")
def no_reader():
    with Server("--write-timeout", patience(1)) as server:
        with Client(server) as good, PeakMemory(server) as memory:
            check_equal(good.ask("10"), "55")
            with Client(server, receive_buffer=4096) as bad:
                sent = send_without_reading(bad, 200 * MEBIBYTE)
                check(sent < 100 * MEBIBYTE, f"the server took {sent} bytes")
                for _ in range(10):
                    check_equal(good.ask("10"), "55")
                eventually(lambda: is_reset(bad), 10, "the client is cut off")
            check_equal(good.ask("20"), "6765")
        memory.expect_growth_below(MEBIBYTE)


def is_reset(client):
    """Whether a reset has come; looks at the connection without reading what came before."""
    try:
        client.socket.send(b"1\n", socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


@test("a client that reads slowly, but reads, is not cut off")
def slow_reader():
    with Server("--write-timeout", patience(1)) as server, Client(server, receive_buffer=4096) as client:
        count = 300_000
        sender = sent_in_background(client, b"41\n" * count)
        end = time.monotonic() + patience(3)
        data = b""
        while time.monotonic() < end:
            data += client.socket.recv(4000)
            time.sleep(0.02)
        client.received = data
        data, how = client.rest()
        sender.join()
        check_equal((len(data), how), (count * len(b"ERR out of range (0..40)\n"), FIN))


@test("slow work: while 40 is computed for one client, another one is answered at once", alone=True)
def others_are_served():
    with Server("--max-n", 60) as server, Client(server) as quick:
        n, _ = number_that_takes(server, 1.5)
        with Client(server) as slow:
            began = time.monotonic()
            slow.send(b"%d\n" % n)
            times = sorted(quick.timed_ask("1")[1] for _ in range(50))
            check(slow.line().isdigit(), "no number")
            took = time.monotonic() - began
        check(took > 0.4, f"{n} took only {took} s, which shows nothing")
        middle = times[len(times) // 2]
        soon = max(0.05, took / 10)  # on a machine with nothing else to do it takes less than a millisecond
        check(middle < soon and times[-1] < took / 2, f"answered in {middle} to {times[-1]} s, the slow one in {took}")


@test("slow work: all clients get their turn; one with many requests holds nobody up")
def fair_queue():
    with Server("--workers", 1, "--max-n", 60) as server:
        n, _ = number_that_takes(server, 0.3)
        with Client(server) as greedy, Client(server) as modest:
            greedy.send(b"%d\n" % n * 20)
            greedy.line()
            check(modest.ask(str(n)).isdigit(), "no number")
            greedy.socket.setblocking(False)
            try:
                done = greedy.received.count(b"\n") + greedy.socket.recv(65536).count(b"\n")
            except BlockingIOError:
                done = 0
            check(done <= 3, f"{done} requests of the other client went first")
            greedy.reset()


@test("limits: with --queue - 1, --queue and --queue + 1 computations waiting, all are answered")
def queue_limit():
    for waiting in (2, 3, 4):
        with Server("--workers", 1, "--queue", 3) as server:
            clients = [Client(server) for _ in range(1 + waiting)]
            for client in clients:
                client.send(b"30\n")
            check_equal([client.line() for client in clients], ["832040"] * len(clients))
            for client in clients:
                client.close()


@test("slow work: 100 clients wait for two workers, and all are answered")
def many_slow():
    with Server("--workers", 2) as server:
        clients = [Client(server) for _ in range(100)]
        for client in clients:
            client.send(b"25\n26\n")
        for client in clients:
            check_equal(client.lines(2), ["75025", "121393"])
            client.close()


@test("slow work: a client that leaves while its number is computed disturbs nobody")
def leaves_while_computing():
    with Server("--workers", 1, "--max-n", 60) as server:
        n, took = number_that_takes(server, 0.5)
        before = server.descriptors()
        for leave in (Client.close, Client.reset):
            client = Client(server)
            client.send(b"%d\n" % n)
            time.sleep(0.1)
            leave(client)
            with Client(server) as other:
                check_equal(other.ask("25"), "75025")
        eventually(lambda: server.descriptors() <= before, 2 + 2 * took, "the descriptors are free")


@test("slow work: what a reset client waits for in the queue is never computed")
def queued_work_is_cancelled():
    with Server("--workers", 1, "--max-n", 60) as server:
        n, took = number_that_takes(server, 0.8)
        with Client(server) as first:
            first.send(b"%d\n" % n)
            time.sleep(0.05)
            gone = [Client(server) for _ in range(30)]
            for client in gone:
                client.send(b"%d\n" % n)
            time.sleep(0.2)
            for client in gone:
                client.reset()
            used = server.cpu_seconds()
            with Client(server) as last:
                check_equal(last.ask("25"), "75025")
            used = server.cpu_seconds() - used
            check(used < 4 * took, f"{used} s of processor time were used where one number takes {took}")
            check(first.line().isdigit(), "no number")


@test("slow work: a computation is given up when its client is reset")
def running_work_is_stopped():
    with Server("--workers", 1, "--max-n", 93) as server:
        client = Client(server)
        client.send(b"93\n")
        time.sleep(0.2)
        client.reset()
        with Client(server) as other:
            check_equal(other.ask("25"), "75025")
