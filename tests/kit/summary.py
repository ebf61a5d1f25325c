"""Adds up what every test program of a run counted; the last line is the sum."""
import json
import re
import sys

LINE = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
SKIPPED = re.compile(r"^SKIPPED .*$", re.MULTILINE)


def counts(test):
    """What one program printed; a program that did not come to its last line counts as one failed test."""
    lines = LINE.findall(test.get("stdout", ""))
    if lines:
        passed, failed, skipped = map(int, lines[-1])
        broken = test["result"] not in ("OK", "SKIP") and failed == 0
        return passed, failed + broken, skipped
    result = test["result"]
    return int(result == "OK"), int(result not in ("OK", "SKIP")), int(result == "SKIP")


def main(path):
    total = [0, 0, 0]
    with open(path, encoding="utf-8") as log:
        tests = [json.loads(line) for line in log]
    for test in tests:
        one = counts(test)
        total = [a + b for a, b in zip(total, one)]
        if one[1]:
            print(f"FAILED in {test['name']}: {one[1]}")
        for line in SKIPPED.findall(test.get("stdout", "")):
            print(f"{test['name']}: {line}")
    passed, failed, skipped = total
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
