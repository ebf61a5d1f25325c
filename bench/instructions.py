"""Counts a server's instructions in user space for one echo, with callgrind."""
import subprocess

import servers
from micro import instructions_of

STYLES = ("ringlet", "raw")
FEW, MORE = 4_000, 12_000  # requests; what both runs share is the start and the connections
CONNECTIONS = 64


class _Wrapped:
    """Runs one server under callgrind for a bounded load."""

    def __init__(self, kind, generator, requests, depth):
        self.kind, self.generator, self.requests, self.depth = kind, generator, requests, depth

    def __call__(self, command):
        wrapper = ["env", f"BENCH_SESSIONS={CONNECTIONS}", *command[:len(command) - len(self.kind.command)]]
        server = servers.Server(self.kind, self.generator.cpu, wrapper)
        try:
            self.generator.run("echo", server, connections=CONNECTIONS, depth=self.depth, size=64, requests=self.requests,
                               warm_up=0, time=100_000)
            server.process.wait(20)  # it ends by itself, with its last session
        except subprocess.TimeoutExpired as why:
            raise RuntimeError(f"{self.kind.name} did not end under callgrind") from why
        finally:
            server.stop()


def count(folder, generator, say, only):
    """{server: {depth: instructions an echo}}."""
    found = {}
    for kind in servers.kinds(folder):
        wanted = not only or any(part in kind.name for part in only.split(","))
        if not wanted or kind.name.split()[0] not in STYLES:
            continue
        say(f"instructions of {kind.name}", passing=True)
        try:
            found[kind.name] = {depth: one_kind(kind, generator, depth) for depth in (1, 16)}
        except (servers.Missing, RuntimeError) as why:
            say(f"left out: {why}")
    return found


def one_kind(kind, generator, depth):
    few, more = (instructions_of(kind.command, _Wrapped(kind, generator, requests, depth)) for requests in (FEW, MORE))
    return (more - few) / (MORE - FEW)
