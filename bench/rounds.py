"""Runs the load generator against servers that stay up, one short round after the other."""
import json
import os
import subprocess
import time
from collections import defaultdict

from figures import Slices

LOADS = [(connections, depth, size) for size in (64, 4096) for connections in (64, 1024) for depth in (1, 16)]


def name_of(load):
    connections, depth, size = load
    return f"c{connections} d{depth} {'4K' if size == 4096 else f'{size}B'}"


class Generator:
    def __init__(self, folder, cpu):
        self.program = str(folder / "load")
        self.cpu = cpu

    def _command(self, mode, server, **options):
        words = [self.program, mode, str(server.port), "--server", str(server.pid)]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        return words

    def _pin(self):
        os.sched_setaffinity(0, {self.cpu})

    def run(self, mode, server, **options):
        """One round; gives what the load generator found. errors: RuntimeError when the server failed it."""
        done = subprocess.run(self._command(mode, server, **options), capture_output=True, text=True, timeout=120,
                              check=False, preexec_fn=self._pin)
        if done.returncode != 0:
            raise RuntimeError(f"{server.kind.name}, {mode} {options}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def echo(self, server, load, milliseconds):
        connections, depth, size = load
        return self.run("echo", server, connections=connections, depth=depth, size=size, time=milliseconds)

    def hold_idle(self, server, connections):
        """A process that keeps so many connections open until its input is closed."""
        process = subprocess.Popen(self._command("idle", server, connections=connections), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, preexec_fn=self._pin)
        if process.stdout.readline() != "ready\n":
            process.kill()
            process.wait()
            raise RuntimeError(f"{server.kind.name}: {connections} idle connections could not be opened")
        return process


def let_go(process):
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


class Plan:
    """How long to measure. units: seconds, and milliseconds for one round."""

    def __init__(self, seconds, round_length, fewest):
        self.seconds = seconds
        self.round_length = round_length
        self.fewest = fewest


def interleaved(servers, tasks, measure, plan, say):
    """Rounds of measure(server, task) over all servers and tasks until the time is up.

    Gives {task: {server's name: Slices}}; a server that fails is left out of its task from there on.
    """
    found = defaultdict(lambda: defaultdict(Slices))
    failed = set()
    began = time.monotonic()
    count = 0
    while count < plan.fewest or time.monotonic() - began < plan.seconds:
        count += 1
        for task in tasks:
            say(f"round {count}, {task if isinstance(task, str) else name_of(task)}, "
                f"{time.monotonic() - began:.0f} of {plan.seconds} s", passing=True)
            # Why: who comes first differs from round to round.
            for server in servers[count % len(servers):] + servers[:count % len(servers)]:
                if (server, task) in failed:
                    continue
                try:
                    found[task][server.kind.name].add(measure(server, task)["slices"])
                except RuntimeError as why:
                    failed.add((server, task))
                    say(f"failed: {why}")
    return found, count
