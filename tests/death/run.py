"""Tests that broken contracts are noticed: by an abort with the message that the program's first line gives, or by the
compiler.

run.py FOLDER_OF_THE_PROGRAMS COMPILER_COMMAND...
"""
import pathlib
import re
import resource
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kit"))
from server_kit import LIMIT, Skip, check, run_tests, test

PROGRAMS = pathlib.Path(sys.argv[1])
COMPILER = sys.argv[2:]


def first_line(source):
    return source.read_text(encoding="utf-8").splitlines()[0]


def without_core_dump():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run_program(source):
    return subprocess.run([PROGRAMS / source.stem], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=LIMIT, preexec_fn=without_core_dump)


def dies(source):
    expected = re.fullmatch(r"// dies of SIGSEGV with: (.+)", first_line(source))[1]
    ended = run_program(source)
    if "Sanitizer" in ended.stderr:  # it handles the signal in its own way
        check(ended.returncode != 0 and "stack-overflow" in ended.stderr, f"said {ended.stderr!r}")
        return
    check(ended.returncode == -signal.SIGSEGV, f"ended with {ended.returncode} and said {ended.stderr!r}")
    check(f"ringlet: {expected}" in ended.stderr, f"said {ended.stderr!r}")


def ends(source):
    if first_line(source).startswith("// dies"):
        dies(source)
    else:
        aborts(source)


def aborts(source):
    expected = re.fullmatch(r"// aborts with: (.+)", first_line(source))[1]
    ended = run_program(source)
    check(ended.returncode == -signal.SIGABRT, f"ended with {ended.returncode} and said {ended.stderr!r}")
    check(f"ringlet: {expected}" in ended.stderr, f"said {ended.stderr!r}")
    check(f"{source.name}:" in ended.stderr or ".hpp:" in ended.stderr or ".cpp:" in ended.stderr, "said not where")


def compile_file(source, *options):
    return subprocess.run([*COMPILER, "-fsyntax-only", *options, source], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", timeout=LIMIT)


def compiler_is_gcc_12():
    macros = subprocess.run([*COMPILER, "-dM", "-E", "-x", "c++", "/dev/null"], capture_output=True, text=True,
                            timeout=LIMIT).stdout
    return "#define __clang__" not in macros and "#define __GNUC__ 12" in macros


def does_not_compile(source):
    only_gcc_12, expected = re.fullmatch(r"// says( on g\+\+ 12)?: (.+)", first_line(source)).groups()
    correct = compile_file(source)
    check(correct.returncode == 0, f"the correct form does not compile:\n{correct.stderr}")
    if only_gcc_12 and not compiler_is_gcc_12():
        raise Skip("this compiler does not have the fault")
    broken = compile_file(source, "-DBROKEN")
    check(broken.returncode != 0, "it compiles")
    said = " ".join(broken.stderr.split())
    check(any(part in said for part in expected.split("|")), f"the compiler said:\n{broken.stderr}")


for program in sorted(HERE.glob("*.cpp")):
    if (PROGRAMS / program.stem).exists():  # what needs a part that was left out is not built
        test(f"death: {program.stem.replace('_', ' ')}")(lambda source=program: ends(source))
for program in sorted((HERE / "compile").glob("*.cpp")):
    test(f"does not compile: {program.stem.replace('_', ' ')}")(lambda source=program: does_not_compile(source))

sys.exit(run_tests(2))
