"""Runs the examples that end by themselves and compares what they print, word for word: test_output.py FOLDER"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from server_kit import LIMIT, check_equal, run_tests, test

FOLDER = pathlib.Path(sys.argv[1])

EXPECTED = {
    "hello": """\
hello, ring
hello, world
9 letters
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
}


def prints_what_is_expected(name):
    ended = subprocess.run([FOLDER / name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    check_equal(ended.stderr, "")
    check_equal(ended.stdout, EXPECTED[name])
    check_equal(ended.returncode, 0)


for example in EXPECTED:
    test(f"{example}: prints what is expected of it")(lambda example=example: prints_what_is_expected(example))

sys.exit(run_tests())
