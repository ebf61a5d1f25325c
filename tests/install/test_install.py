"""Tests of `meson install`, the pkg-config files and the use as a subproject: what others build against it runs."""
import argparse
import functools
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from server_kit import LIMIT, Skip, check, check_equal, run_tests, test

arguments = argparse.ArgumentParser()
arguments.add_argument("--meson", required=True, help="the command that runs meson")
arguments.add_argument("--compiler", required=True, help="the C++ compiler of the build")
arguments.add_argument("--source", required=True, type=pathlib.Path)
arguments.add_argument("--build", required=True, type=pathlib.Path)
arguments.add_argument("--library", required=True, choices=["static", "shared", "both"], help="what the build makes")
given = arguments.parse_args()

here = pathlib.Path(__file__).parent
work = pathlib.Path(tempfile.mkdtemp(prefix="ringlet-install-"))
programs = {
    given.source / "examples/hello.cpp": "hello, ring\nhello, world\n9 letters\n",
    here / "virtual_hour.cpp": "3600 seconds\n",
}


def output(*command, **settings):
    """What the command prints; raises with all of it when the command fails."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **settings)
    if ended.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def meson(*command):
    return output(*shlex.split(given.meson), *command)


class Prefix:
    """A folder with an installation in it, and what a user does with one."""

    def __init__(self, root):
        self.root = root
        (pc_file,) = root.rglob("ringlet.pc")
        self.pc_folder = pc_file.parent
        self.library_folder = self.pc_folder.parent

    def move_to_root(self):
        """Makes the pkg-config files say where the files are now, before they are copied to where they belong."""
        for pc_file in self.pc_folder.glob("*.pc"):
            first, rest = pc_file.read_text().split("\n", 1)
            staged = self.root.joinpath(*pathlib.Path(first.removeprefix("prefix=")).parts[1:])
            pc_file.write_text(f"prefix={staged}\n{rest}")

    def flags(self, *question):
        environment = os.environ | {"PKG_CONFIG_PATH": str(self.pc_folder)}
        return shlex.split(output("pkg-config", *question, env=environment))

    def run(self, source, flags):
        """Builds the program the way a user does, runs it, and returns what it printed."""
        program = work / source.stem
        output(*shlex.split(given.compiler), "-std=c++20", source, "-o", program, *flags)
        return output(program, env=os.environ | {"LD_LIBRARY_PATH": str(self.library_folder)})


@functools.cache
def staged():
    """The build under test, installed with DESTDIR."""
    meson("install", "-C", given.build, "--no-rebuild", "--destdir", work / "staged")
    prefix = Prefix(work / "staged")
    prefix.move_to_root()
    return prefix


@functools.cache
def toy():
    """A project with ringlet as its subproject, built with the other kind of library, and installed."""
    folder = work / "toy"
    shutil.copytree(here / "toy", folder)
    for source in programs:
        shutil.copy(source, folder)
    (folder / "subprojects").mkdir()
    (folder / "subprojects/ringlet").symlink_to(given.source)
    other = "shared" if given.library == "static" else "static"
    meson("setup", folder / "build", folder, f"--prefix={work / 'prefix'}", "-Doptimization=0", "-Ddebug=false",
          "--force-fallback-for=ringlet,ringlet-testing", f"-Dringlet:default_library={other}")
    meson("compile", "-C", folder / "build")
    return folder / "build"


@functools.cache
def installed_with_toy():
    meson("install", "-C", toy(), "--no-rebuild")
    return Prefix(work / "prefix")


def prefix_with(kind):
    staged_kind = "static" if given.library == "static" else "shared"
    return staged() if kind == staged_kind else installed_with_toy()


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@test("install: every public header is installed, and no other file beside them")
def headers():
    (config,) = staged().root.rglob("config.hpp")
    include = config.parent.parent
    check_equal(files_below(include), files_below(given.source / "include"))


@test("install: programs built against the static library run")
def static_library():
    prefix = prefix_with("static")
    hello, virtual_hour = programs
    check_equal(prefix.run(hello, prefix.flags("--static", "--cflags", "--libs", "ringlet", "fmt")), programs[hello])
    check("libringlet" not in output("ldd", work / hello.stem), "it loads the shared library")
    flags = prefix.flags("--static", "--cflags", "--libs", "ringlet-testing")
    check_equal(prefix.run(virtual_hour, flags), programs[virtual_hour])


@test("install: programs built against the shared library run")
def shared_library():
    prefix = prefix_with("shared")
    hello, virtual_hour = programs
    check_equal(prefix.run(hello, prefix.flags("--cflags", "--libs", "ringlet", "fmt")), programs[hello])
    check("libringlet.so" in output("ldd", work / hello.stem), "it does not load the shared library")
    check_equal(prefix.run(virtual_hour, prefix.flags("--cflags", "--libs", "ringlet-testing")), programs[virtual_hour])


@test("install: who links the shared library links none of the libraries that ringlet uses inside")
def private_dependencies():
    libraries = prefix_with("shared").flags("--libs", "ringlet", "ringlet-testing")
    check_equal([flag for flag in libraries if flag in ("-luring", "-lfmt", "-lboost_context")], [])


@test("install: who asks for the static library gets the libraries that ringlet uses inside")
def static_dependencies():
    libraries = prefix_with("static").flags("--static", "--libs", "ringlet")
    own = libraries.index("-lringlet")
    if given.library == "static" and "-luring" not in libraries:
        raise Skip("liburing and fmt come from subprojects and are part of the library")
    check(own < libraries.index("-luring") and own < libraries.index("-lfmt"), libraries)


@test("install: a compiler that is set to an older C++ is told which one ringlet needs")
def wrong_standard():
    source = work / "old.cpp"
    source.write_text("#include <ringlet/ringlet.hpp>\n")
    command = [*shlex.split(given.compiler), "-std=c++17", "-fsyntax-only", source, *staged().flags("--cflags", "ringlet")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    check(ended.returncode != 0 and "ringlet needs C++20" in ended.stderr, ended.stderr[:2000])


@test("install: a project that has ringlet as a subproject builds and runs")
def subproject():
    for source, expected in programs.items():
        check_equal(output(toy() / source.stem), expected)


@test("install: pkg-config, the library and ringlet-info agree on the version")
def version():
    (asked,) = staged().flags("--modversion", "ringlet")
    check_equal(staged().flags("--modversion", "ringlet-testing"), [asked])
    (info,) = staged().root.rglob("ringlet-info")
    told = subprocess.run([info], capture_output=True, text=True, timeout=LIMIT, check=False).stdout
    check(told.startswith(f"ringlet {asked},"), told)


os.nice(10)  # what is built here leaves the processors to the tests that run beside it
try:
    sys.exit(run_tests())
finally:
    shutil.rmtree(work)
