"""Clients that break off, and clients in numbers: resets, idle ones, more than are allowed, no descriptors left."""
import contextlib
import resource
import time

from client import Client
from server import SETTINGS, Server, eventually, patience, tolerant_of_shortage
from server_kit import Skip, check, check_equal, test

BUSY = "ERR busy\n"


@test("broken clients: a reset or a close in the midst of its answers frees the descriptor within a second")
def broken_in_the_midst():
    with Server() as server:
        with Client(server) as first:
            check_equal(first.ask("10"), "55")
        before = eventually(lambda: server.descriptors(), 1, "descriptors")
        for leave in (Client.reset, Client.close):
            for _ in range(20):
                client = Client(server, receive_buffer=4096)
                client.socket.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    client.send(b"41\n" * 100_000)
                leave(client)
        eventually(lambda: server.descriptors() <= before, 1, "the descriptors are free")
        with Client(server) as last:
            check_equal(last.ask("10"), "55")


@test("broken clients: a reset at any moment of a connection harms nobody")
def broken_at_any_moment():
    with Server("--workers", 1) as server:
        with Client(server) as good:
            check_equal(good.ask("10"), "55")
            before = server.descriptors()
            for sent in (b"", b"1", b"10\n", b"30\n", b"30\n" * 50, b"1" * 70, b"1" * 500):
                for pause in (0, 0.01):
                    client = Client(server)
                    client.send(sent)
                    time.sleep(pause)
                    client.reset()
                    check_equal(good.ask("10"), "55")
            eventually(lambda: server.descriptors() <= before, 2, "the descriptors are free")
        check(all("warning" in line for line in server.errors), f"the log is {server.errors}")


@test("broken clients: 500 that connect and reset at once")
def connect_and_reset():
    with Server() as server:
        for _ in range(500):
            Client(server).reset()
        with Client(server) as good:
            check_equal(good.ask("10"), "55")


@test("idle clients: 2,000 cost little memory and no time, and a new client is served at once", alone=True)
def many_idle():
    count = 2000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count + 100:
        raise Skip(f"only {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} descriptors are allowed (ulimit -n)")
    with Server() as server, contextlib.ExitStack() as clients:
        with Client(server) as first:
            check_equal(first.ask("10"), "55")
        before = server.rss()
        idle = [clients.enter_context(Client(server)) for _ in range(count)]
        for client in idle[::100]:
            check_equal(client.ask("10"), "55")
        eventually(lambda: server.descriptors() > count, 5, "all are accepted")
        each = (server.rss() - before) / count
        used = server.cpu_seconds()
        time.sleep(3)
        used = server.cpu_seconds() - used
        with Client(server) as late:
            answer, took = late.timed_ask("10")
        check_equal(answer, "55")
        check(took < patience(0.25), f"a new client was answered after {took} s")
        check(used <= 0.02, f"{used} s of processor time in 3 s of silence")
        check(SETTINGS["sanitized"] or each < 10 * 1024, f"an idle client costs {each:.0f} bytes")


def connect_all(stack, server, count):
    return [stack.enter_context(Client(server)) for _ in range(count)]


def expect_served(clients):
    for client in clients:
        check_equal(client.ask("10"), "55")


@test("limits: --max-connections - 1, --max-connections and --max-connections + 1 clients")
def connection_limit():
    with Server("--max-connections", 3) as server, contextlib.ExitStack() as stack:
        expect_served(connect_all(stack, server, 2))
        [third] = connect_all(stack, server, 1)
        expect_served([third])
        [fourth] = connect_all(stack, server, 1)
        fourth.expect_end(BUSY)
        expect_served([third])


@test("limits: by default 64 descriptors are kept free: with 80, 16 clients are served and the next is not")
def default_connection_limit():
    with Server(shell="ulimit -n 80") as server, contextlib.ExitStack() as stack:
        clients = connect_all(stack, server, 16)
        expect_served(clients)
        [late] = connect_all(stack, server, 1)
        late.expect_end(BUSY)
        expect_served(clients)


@test("over --max-connections: ERR busy and FIN, also for a client that has sent something")
def busy_after_sending():
    with Server("--max-connections", 1) as server, Client(server) as only:
        check_equal(only.ask("10"), "55")
        for _ in range(10):
            with Client(server) as client:
                client.send(b"10\n20\n")
                client.expect_end(BUSY)


@test("over --max-connections: when one leaves, the next is served")
def place_becomes_free():
    with Server("--max-connections", 1) as server:
        for _ in range(5):
            with Client(server) as client:
                check_equal(client.ask("10"), "55")
                client.end_input()
                client.expect_end("")


@test("over --max-connections: 300 clients at once all hear that it is busy")
def many_busy():
    with Server("--max-connections", 2) as server, contextlib.ExitStack() as stack:
        served = connect_all(stack, server, 2)
        expect_served(served)
        refused = connect_all(stack, server, 300)
        expect_served(served)
        for client in refused:
            client.expect_end(BUSY)


@test("over --max-connections: clients that stay after ERR busy are closed, and cost no descriptors")
def stubborn_busy():
    with Server("--max-connections", 1) as server, contextlib.ExitStack() as stack:
        expect_served(connect_all(stack, server, 1))
        before = server.descriptors()
        stubborn = connect_all(stack, server, 20)
        for client in stubborn:
            check_equal(client.line(), "ERR busy")
        eventually(lambda: server.descriptors() <= before, 5, "the descriptors are free")


@test("no descriptors left: the server stays, says so at most once a second, and serves when there are some again")
def shortage_of_descriptors():
    few_descriptors = {"shell": "ulimit -n 40", "env": tolerant_of_shortage()}
    with Server("--max-connections", 1000, **few_descriptors) as server, contextlib.ExitStack() as stack:
        began = time.monotonic()
        clients = connect_all(stack, server, 60)
        eventually(lambda: server.descriptors() >= 40, 5, "no descriptor is left")
        expect_served(clients[:20])
        used = server.cpu_seconds()
        time.sleep(1.5)
        used = server.cpu_seconds() - used
        expect_served(clients[:20])
        for client in clients[:40]:
            client.close()
        expect_served(clients[40:])
        lasted = time.monotonic() - began
    lines = [line for line in server.errors if "cannot accept" in line]
    check(lines, f"the log is {server.errors}")
    check(len(lines) <= 1 + lasted, f"{len(lines)} lines in {lasted} s")
    check("Too many open files" in lines[0] and any(part.isdigit() for part in lines[0].split()), lines[0])
    check(SETTINGS["sanitized"] or used < 0.3, f"{used} s of processor time in 1.5 s of shortage")
