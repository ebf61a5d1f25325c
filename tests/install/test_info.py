"""Tests of ringlet-info: what it says about this machine, and about machines where io_uring is not to be had."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from server_kit import LIMIT, Skip, check, check_equal, run_tests, test

program = sys.argv[1]


def info(*before, env=None):
    return subprocess.run([*before, program], capture_output=True, text=True, timeout=LIMIT, check=False, env=env)


def info_where(fault):
    """The same, where a system call fails as said."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    # Why: the search for leaks traces the program itself, and only one can.
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
    ended = info("strace", "-qq", "-o", "/dev/null", "-e", f"inject={fault}", env=environment)
    if "ptrace" in ended.stderr:
        raise Skip("tracing is not allowed here")
    return ended


def answers(text):
    return dict(re.findall(r"^  (\S.*?) {2,}(.*)$", text, re.MULTILINE))


@test("info: the kernel's release is told, and that this kernel reads, writes and accepts")
def this_machine():
    ended = info()
    found = answers(ended.stdout)
    check_equal(found["kernel"], platform.release())
    if found["io_uring"] != "available":
        raise Skip(found["io_uring"])
    for operation in ("read", "write", "accept"):
        check_equal(found[operation], "yes", operation)
    check(ended.stdout.endswith("\nringlet runs here\n") and ended.returncode == 0, ended)


@test("info: the limits are the ones that the process has")
def limits():
    ended = subprocess.run(["sh", "-c", 'ulimit -S -n 100 && exec "$0"', program],
                           capture_output=True, text=True, timeout=LIMIT, check=False)
    check(answers(ended.stdout)["descriptors"].startswith("100, "), ended.stdout)


@test("info: where the kernel has no io_uring it says so, and fails")
def no_io_uring():
    ended = info_where("io_uring_setup:error=ENOSYS")
    check("no io_uring" in answers(ended.stdout)["io_uring"], ended.stdout)
    check(ended.stdout.endswith("\nringlet does not run here\n") and ended.returncode == 1, ended)


@test("info: a filter that lets rings be opened but not used is found out")
def forbidden_enter():
    ended = info_where("io_uring_enter:error=EPERM")
    check(answers(ended.stdout)["io_uring"].startswith("io_uring_enter failed"), ended.stdout)
    check(ended.returncode == 1, ended)


@test("info: what the kernel refuses to register is not supported")
def no_probe():
    ended = info_where("io_uring_register:error=EINVAL")
    found = answers(ended.stdout)
    check(found["io_uring"] == "available" and found["buffer rings"] == "no" and found["read"] == "no", found)
    check(ended.returncode == 1, ended)


@test("info: arguments are refused with a hint how to call it")
def usage():
    ended = subprocess.run([program, "--all"], capture_output=True, text=True, timeout=LIMIT, check=False)
    check(ended.returncode == 2 and ended.stdout == "" and ended.stderr.startswith("usage: ringlet-info"), ended)


sys.exit(run_tests())
