"""Measures ringlet beside hand-written servers and peers, and writes results.md and results.svg.

bench.py FOLDER_OF_THE_PROGRAMS [--quick] [--only PART_OF_A_NAME,...] [--parts PART,...] [--instructions]
"""
import argparse
import os
import sys
import time
from pathlib import Path

import instructions
import micro
import report
import rounds
import servers
from rounds import Generator, Plan

HERE = Path(__file__).resolve().parent
PARTS = ("micro", "echo", "two", "churn", "memory")


class Progress:
    """Says lines; those in passing overwrite each other on a terminal."""

    def __init__(self):
        self.began = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def __call__(self, line, passing=False):
        text = f"[{time.monotonic() - self.began:4.0f} s] {line}"
        if not self.terminal:
            print(text, file=sys.stderr, flush=True)
        else:
            print(f"\r\033[K{text}", end="" if passing else "\n", file=sys.stderr, flush=True)


def plan_of(quick):
    if quick:
        return {"echo": Plan(50, 100, 1), "two": Plan(6, 100, 1), "churn": Plan(6, 150, 1)}
    return {"echo": Plan(600, 200, 3), "two": Plan(90, 200, 3), "churn": Plan(60, 300, 3)}


def measure_echo(running, generator, plan, say):
    return rounds.interleaved(
        running, rounds.LOADS, lambda s, load: generator.echo(s, load, plan.round_length), plan, say)


def measure_two(running, folder, cpus, plan, say):
    other = Generator(folder, cpus[1])
    tasks = [load for load in rounds.LOADS if load[0] == 64 or load[1:] == (16, 64)]
    return rounds.interleaved(running, tasks, lambda s, load: other.echo(s, load, plan.round_length), plan, say)


def measure_churn(running, generator, plan, say):
    return rounds.interleaved(
        running, ["churn"], lambda s, _: generator.run("churn", s, connections=64, time=plan.round_length), plan, say)


def measure_memory(folder, cpu, generator, counts, say, only):
    """Bytes of each server for one idle connection, for each number of them."""
    found = {}
    for kind in servers.kinds(folder):
        if only and not any(part in kind.name for part in only.split(",")):
            continue
        say(f"memory of {kind.name}", passing=True)
        try:
            found[kind.name] = memory_of(servers.Server(kind, cpu), generator, counts)
        except (servers.Missing, RuntimeError) as why:
            say(f"left out: {why}")
    return found


def memory_of(server, generator, counts):
    held, found = [], {}
    try:
        before = server.memory()
        opened = 0
        for count in counts:
            held.append(generator.hold_idle(server, count - opened))
            opened = count
            found[count] = (server.memory() - before) / count
    finally:
        for process in held:
            rounds.let_go(process)
        server.stop()
    return found


def measure_small(folder, options, say, found):
    if "micro" in options.parts:
        found["micro"] = micro.time_both(folder, *((3, 3) if options.quick else (8, 5)), say)
    if options.instructions and not micro.have_valgrind():
        say("left out: there is no valgrind to count instructions with")
    elif options.instructions:
        found["micro instructions"] = micro.count_both(folder, say)
        found["instructions"] = instructions.count(
            folder, Generator(folder, max(os.sched_getaffinity(0))), say, options.only)


def run(folder, options, say):
    """All that was asked for; gives {part: what was found}."""
    cpus = sorted(os.sched_getaffinity(0))[::-1]
    plans = plan_of(options.quick)
    generator = Generator(folder, cpus[0])
    found = {"rounds": {}}
    measure_small(folder, options, say, found)
    running = servers.start_all(folder, cpus[0], say, options.only)
    found["groups"] = {s.kind.name: s.kind.group for s in running}
    try:
        if "echo" in options.parts:
            found["echo"], found["rounds"]["echo"] = measure_echo(running, generator, plans["echo"], say)
        if "churn" in options.parts:
            found["churn"], found["rounds"]["churn"] = measure_churn(running, generator, plans["churn"], say)
        if "two" in options.parts and len(cpus) > 1:
            found["two"], found["rounds"]["two"] = measure_two(running, folder, cpus, plans["two"], say)
    finally:
        for server in running:
            server.stop()
    if "memory" in options.parts:
        counts = [1_000] if options.quick else [1_000, 10_000]
        found["memory"] = measure_memory(folder, cpus[0], generator, counts, say, options.only)
    return found


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="under two minutes")
    parser.add_argument("--only", default="", help="servers with one of these, separated by commas, in their names")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure, separated by commas")
    parser.add_argument("--instructions", action="store_true", help="count them, too, with valgrind; a few minutes more")
    parser.add_argument("--results", type=Path, default=HERE, help="the folder for results.md and results.svg")
    options = parser.parse_args(arguments)
    options.parts = options.parts.split(",")
    return options


def main(arguments):
    options = parse(arguments)
    say = Progress()
    found = run(options.folder, options, say)
    text = report.write(found, options)
    print(text)
    say(f"written: results.md and results.svg in {options.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
