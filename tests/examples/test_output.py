"""Runs the examples that are no servers and looks at what they print and leave behind: test_output.py FOLDER"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from server_kit import LIMIT, Skip, check, check_equal, run_tests, test

FOLDER = pathlib.Path(sys.argv[1])

EXPECTED = {
    "hello": """\
hello, ring
hello, world
9 letters
""",
    "message_queue": """\
the worker says: "the door is behind the wall"
the worker says: "turns take messages"
the worker says: ""
the worker has ended: exit code 0
""",
    "process_pool": """\
9592 primes below 100000, the last one is 99991
crash: signal 11 (Segmentation fault)
throw: what a text
sleep: timed out
text: a good text
""",
    "round_robin": """\
0
0
1
1
1
1
2
3
""",
    "stages": """\
the last digits of the first 25 Fibonacci numbers add up to 102
""",
    "threads": """\
the primes below 1000 add up to 76127
""",
    "timeouts": """\
move_on_after gave nothing
with_timeout gave 42
with_timeout threw: timed out
when_any: quick answered, slow did not
work saved
""",
    "workers": """\
6765
10946
17711
28657
46368
75025
121393
196418
317811
514229
""",
}


def output_of(name):
    """What the example prints when all goes well."""
    ended = subprocess.run([FOLDER / name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    check_equal(ended.stderr, "")
    check_equal(ended.returncode, 0)
    return ended.stdout


def prints_what_is_expected(name):
    check_equal(output_of(name), EXPECTED[name])


for example in EXPECTED:
    test(f"{example}: prints what is expected of it")(lambda example=example: prints_what_is_expected(example))


# --- trace

def trace(*args):
    ended = subprocess.run([FOLDER / "trace", *args], capture_output=True, text=True, timeout=LIMIT)
    check_equal((ended.stderr, ended.returncode), ("", 0))
    return ended.stdout


def overlaps(slices):
    """Whether one of these begins before the one before it has ended, by more than rounding."""
    slices = sorted(slices, key=lambda s: s["ts"])
    return any(a["ts"] + a["dur"] > b["ts"] + 0.0015 for a, b in zip(slices, slices[1:]))


@test("trace: prints a line for each thing that happens")
def _():
    lines = trace().splitlines()
    for kind in ("spawn", "ready", "resume", "suspend", "end"):
        check(any(re.match(rf" *\d+\.\d{{3}}  {kind} +task \d", line) for line in lines), f"no {kind}")
    check(any(line.endswith("suspend   task 3: lock a mutex") for line in lines), lines)


@test("trace: writes a file that a viewer of Chrome's format can read")
def _():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "trace.json")
        check_equal(trace(path), "")
        events = json.loads(path.read_text())["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    check_equal(len(names), 5, "rows")
    check_equal(sum('"green" in paint at trace.cpp:' in name for name in names.values()), 1, "named rows")
    running = [e for e in events if e.get("cat") == "running"]
    check(not overlaps(running), "two tasks run at a time")
    for task in names:
        slices = [e for e in events if e["ph"] == "X" and e["tid"] == task]
        check(slices and not overlaps(slices), f"task {task} does two things at a time")
    sleeps = [e["dur"] for e in events if e.get("name") == "sleep"]
    check(len(sleeps) == 3 and min(sleeps) > 1000, f"the sleeps took {sleeps} us")
    arrows = [e["id"] for e in events if e["ph"] == "s"]
    check_equal(sorted(arrows), sorted(e["id"] for e in events if e["ph"] == "f"))
    check_equal(len(arrows), 4)


# --- Child processes

TOUR = """\
captured: Hello from the child!
status: exit code 0
/bin/sh: exit code 3, and it said: no such luck
Working...
exit code 0
WHAT GOES IN COMES OUT
still there after 100 ms, so: terminate
signal 15 (Terminated)
lines that differ: 2
"""


@test("subprocess_tour: prints what is expected, however often it finds the child working")
def _():
    check_equal(re.sub(r"(Working\.\.\.\n)+", "Working...\n", output_of("subprocess_tour")), TOUR)


@test("ten_sleeps: ten children side by side take less time than one after the other")
def _():
    took = re.fullmatch(r"ten sleeps of half a second took (\d+\.\d) s\n", output_of("ten_sleeps"))
    check(took, "the line is another one")
    check(0.5 <= float(took[1]), f"{took[1]} s is less than one sleep")
    check(float(took[1]) < 4, f"{took[1]} s is as long as sleeps one after the other")


@test("encrypt_and_hash: every chain gives a hash of its own")
def _():
    if shutil.which("openssl") is None:
        raise Skip("there is no openssl here")
    found = re.findall(r"^chain (\d): ([0-9a-f]{64})$", output_of("encrypt_and_hash"), re.M)
    check_equal(sorted(number for number, _ in found), ["1", "2", "3"])
    check_equal(len({digest for _, digest in found}), 3, "hashes that differ")


# --- tree_walk

TREE = ["empty/", "fruit/apple", "fruit/red/cherry", "fruit/red/berries/currant", "stone"]


def tree_walk(*folders):
    if not (FOLDER / "tree_walk").exists():
        raise Skip("it was built without fibers")
    return subprocess.run([FOLDER / "tree_walk", *folders], capture_output=True, text=True, timeout=LIMIT)


class Tree:
    """A temporary folder with these files, and folders where a name ends in a slash."""

    def __init__(self, names):
        self.names = names

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        for name in self.names:
            path = pathlib.Path(self.folder.name, name)
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return self.folder.name

    def __exit__(self, *_):
        self.folder.cleanup()


@test("tree_walk: prints a folder as a tree, sorted")
def _():
    with Tree(TREE) as folder:
        os.symlink("..", pathlib.Path(folder, "fruit", "up"))
        walked = tree_walk(folder)
    check_equal(walked.stdout, """\
empty/
fruit/
  apple
  red/
    berries/
      currant
    cherry
  up
stone
""")
    check_equal((walked.stderr, walked.returncode), ("", 0))


@test("tree_walk: walks two folders at once, and prints what only one of them has")
def _():
    with Tree(TREE) as one, Tree(["fruit/red/date", "fruit/apple", "stone", "water/"]) as other:
        check_equal(tree_walk(one, other).stdout, """\
- empty/
- fruit/red/berries/
- fruit/red/berries/currant
- fruit/red/cherry
+ fruit/red/date
+ water/
""")
        check_equal(tree_walk(one, one).stdout, "")


@test("tree_walk: a walk that fails ends with the error, in the middle of the tree, too")
def _():
    with Tree(TREE) as folder:
        missing = tree_walk(pathlib.Path(folder, "missing"))
        check_equal((missing.stdout, missing.returncode), ("", 1))
        check("No such file or directory" in missing.stderr, f"stderr is {missing.stderr!r}")
        if os.geteuid() == 0:
            return  # root may read everything
        closed = pathlib.Path(folder, "fruit", "red")
        closed.chmod(0)
        refused = tree_walk(folder)
        closed.chmod(0o700)
        check_equal((refused.stdout, refused.returncode), ("empty/\nfruit/\n  apple\n  red/\n", 1))
        check("Permission denied" in refused.stderr, f"stderr is {refused.stderr!r}")


# --- kill_all


class KillAll:
    """The example in a session of its own, so that its children can be told from others."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([FOLDER / "kill_all", *arguments], stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for number in self.members():
            os.kill(number, signal.SIGKILL)
        self.process.communicate()

    def members(self):
        """The processes of its session, those that have ended and wait to be reaped included."""
        return [number for number in map(int, filter(str.isdigit, os.listdir("/proc")))
                if session_of(number) == self.process.pid]

    def wait_for_children(self):
        end = time.monotonic() + LIMIT
        while len(self.members()) < 11:
            check(time.monotonic() < end, "ten children did not start")
            time.sleep(0.01)

    def end(self):
        """Its exit status, output and errors; nobody of its session may be left."""
        out, errors = self.process.communicate(timeout=LIMIT)
        check_equal(self.members(), [], "still there:")
        return self.process.returncode, out, errors


def session_of(number):
    try:
        return os.getsid(number)
    except ProcessLookupError:
        return None


ALL_GONE = "ten children; Ctrl-C ends them all\nall gone\n"


@test("kill_all: one child that fails ends all of them")
def _():
    with KillAll("0.3") as example:
        check_equal(example.end(), (1, ALL_GONE, "kill_all: the tenth has failed\n"))


@test("kill_all: SIGINT and SIGTERM end it and all children with status 0")
def _():
    for number in (signal.SIGINT, signal.SIGTERM):
        with KillAll() as example:
            example.wait_for_children()
            example.process.send_signal(number)
            check_equal(example.end(), (0, ALL_GONE, ""))


@test("kill_all: Ctrl-C at a terminal, which interrupts the children, too, leaves nobody behind")
def _():
    with KillAll() as example:
        example.wait_for_children()
        os.killpg(example.process.pid, signal.SIGINT)
        _, out, _ = example.end()
        check_equal(out, ALL_GONE)


sys.exit(run_tests())
