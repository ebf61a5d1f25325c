"""Tests of the fib server from outside, over real sockets.

run.py FOLDER_OF_THE_EXAMPLES [--sanitized] [PART OF A TEST'S NAME]
"""
import os
import resource
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))

import server_kit
from server import SETTINGS

# Importing them registers their tests.
import test_clients  # noqa: F401
import test_grammar  # noqa: F401
import test_lines  # noqa: F401
import test_load  # noqa: F401
import test_start  # noqa: F401
import test_stop  # noqa: F401
import test_syscalls  # noqa: F401
import test_threads  # noqa: F401

AT_A_TIME = 8  # tests mostly wait; each has a server of its own


def allow_many_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments):
    folder = arguments.pop(0)
    SETTINGS.update(fib_server=os.path.join(folder, "fib_server"), echo_server=os.path.join(folder, "echo_server"))
    if arguments and arguments[0] == "--sanitized":
        arguments.pop(0)
        SETTINGS.update(patience=4.0, sanitized=True)
        os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    allow_many_descriptors()
    return server_kit.run_tests(AT_A_TIME, *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
