"""Times the small operations of ringlet and the hand-written ones in turns; counts instructions with callgrind."""
import os
import re
import shutil
import subprocess
import tempfile

OPERATIONS = 200_000  # of one run of a row, in micro.cpp and limits.cpp
COUNTED = ("await of", "spawn + join of one", "spawn + join of 1,000", "yield, 2", "mutex, un", "mutex, hand",
           "channel hop, capacity 1,024", "timer", "with_timeout", "fiber, yield", "fiber, make")


def read_rows(program, arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{os.path.basename(program)} failed: {done.stderr.strip()}")
    return {row: float(value) for row, value in (line.split("\t") for line in done.stdout.splitlines())}


def time_both(folder, times, runs, say):
    """{row: {"ringlet": ns, "limit": ns}}, of each the smallest of all runs."""
    found = {}
    for turn in range(times):
        say(f"small operations, {turn + 1} of {times}", passing=True)
        for column, program in (("ringlet", "micro"), ("limit", "micro_limits")):
            for row, value in read_rows(str(folder / program), [str(runs)]).items():
                smallest = found.setdefault(row, {})
                smallest[column] = min(value, smallest.get(column, value))
    return found


def instructions_of(command, finish=None):
    """Instructions in user space that the command takes, counted by callgrind. finish: called once it runs."""
    with tempfile.TemporaryDirectory() as place:
        out = os.path.join(place, "callgrind.out")
        wrapped = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command]
        if finish is None:
            subprocess.run(wrapped, capture_output=True, timeout=600, check=True)
        else:
            finish(wrapped)
        with open(out, encoding="ascii", errors="replace") as lines:
            return int(re.search(r"^(?:summary|totals): (\d+)", lines.read(), re.MULTILINE).group(1))


def have_valgrind():
    return shutil.which("valgrind") is not None


def count_both(folder, say):
    """{row: {"ringlet": instructions, "limit": instructions}} an operation: more runs less fewer runs."""
    found = {}
    for row in COUNTED:
        say(f"instructions of: {row}", passing=True)
        for column, program in (("ringlet", "micro"), ("limit", "micro_limits")):
            command = str(folder / program)
            name = next(iter(read_rows(command, ["1", row])), None)
            if name is None:
                continue
            few, more = (instructions_of([command, runs, row]) for runs in ("1", "3"))
            found.setdefault(name, {})[column] = (more - few) / (2 * OPERATIONS)
    return found
