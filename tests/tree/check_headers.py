"""Every header compiles alone and within its budget: check_headers.py COMPILER [OPTION]...

The budget is counted in lines after preprocessing, with g++ 12: what a header costs whoever includes it."""
import shutil
import subprocess
import sys

import source
from report import Report

# Their standard headers cost more than all of L0 and L1 otherwise; so does what uses them.
HEAVY_BASE = {"include/ringlet/time.hpp", "include/ringlet/error.hpp", "include/ringlet/result.hpp"}
BASE_BUDGET = 16_000
BUDGET = 45_000
UMBRELLA = "include/ringlet/ringlet.hpp"
UMBRELLA_BUDGET = 45_500  # of others' headers: ringlet's own part grows with what it can do
FOR_TESTS = {"include/ringlet/fault_plan.hpp", "include/ringlet/memory_stream.hpp", "include/ringlet/testing.hpp"}

OPTIONS = ["-std=c++20", "-Iinclude", "-x", "c++"]


def run(command, text):
    return subprocess.run(command, cwd=source.ROOT, input=text, capture_output=True, text=True, check=False)


def compile_complaints(compiler, header):
    name = header.path.removeprefix("include/")
    # Included twice, so that a missing guard shows.
    text = f"#include <{name}>\n#include <{name}>\n"
    done = run(compiler + OPTIONS + ["-fsyntax-only", "-Wall", "-Wextra", "-"], text)
    if done.returncode != 0 or done.stderr:
        yield done.stderr.strip() or f"the compiler ended with {done.returncode}"


def own_headers(path):
    stem = path.removeprefix("src/").removesuffix(".cpp")
    base = stem.rsplit("/", 1)[-1]
    return [f"include/ringlet/{base}.hpp", f"include/ringlet/detail/{base}.hpp", f"src/{stem}.hpp"]


def first_include_complaints(files):
    paths = {f.path for f in files}
    for f in files:
        own = [h for h in own_headers(f.path) if h in paths] if f.path.endswith(".cpp") else []
        first = next((name[1:-1] for _, name in f.includes()), "")
        if own and not any(h.endswith("/" + first) for h in own):
            yield f"{f.path}: its first include is {first}, not {own[0].split('/', 1)[1]}"


def umbrella_complaints(headers):
    """ringlet.hpp is for programs: what only tests need stays out of it."""
    included = {"include/" + name[1:-1] for _, name in headers[UMBRELLA].includes()}
    for path in headers:
        if "/detail/" not in path and path not in included | FOR_TESTS | {UMBRELLA}:
            yield f"{path} is not in it"


def reachable(header, headers):
    """The headers of ours that this one includes, by whatever way, itself among them."""
    seen, todo = set(), [header.path]
    while todo:
        path = todo.pop()
        if path in headers and path not in seen:
            seen.add(path)
            todo += ["include/" + name[1:-1] for _, name in headers[path].includes()]
    return seen


def budget_of(header, headers):
    if header.path == UMBRELLA:
        return UMBRELLA_BUDGET
    light = (header.layer() or 0) <= 1 and not HEAVY_BASE & reachable(header, headers)
    return BASE_BUDGET if light else BUDGET


def lines_of(compiler, includes):
    done = run([compiler] + OPTIONS + ["-E", "-P", "-"], "".join(f"#include {name}\n" for name in includes))
    return done.stdout.count("\n")


def includes_of_others(header, headers):
    ours = ("<ringlet/", '"')
    reached = (headers[path] for path in reachable(header, headers))
    return sorted({name for h in reached for _, name in h.includes() if not name.startswith(ours)})


def cost(compiler, header, headers):
    if header.path == UMBRELLA:
        return lines_of(compiler, includes_of_others(header, headers))
    return lines_of(compiler, [f"<{header.path.removeprefix('include/')}>"])


def budget_complaints(compiler, headers):
    for header in headers.values():
        lines, budget = cost(compiler, header, headers), budget_of(header, headers)
        print(f"  {lines:6} of {budget} lines  L{header.layer()}  {header.path}")
        if lines == 0 or lines > budget:
            yield f"{header.path}: {lines} lines after preprocessing, where {budget} are allowed"


def check_budget(report, headers):
    name = "headers: each costs at most its budget of preprocessed lines"
    compiler = shutil.which("g++")
    version = run([compiler, "-dumpversion"], "").stdout.strip() if compiler else "none"
    if version.split(".")[0] == "12":
        report.check(name, budget_complaints(compiler, headers))
    else:
        report.skip(name, f"counted with g++ 12, and here it is {version}")


def main(compiler):
    report = Report()
    headers = {f.path: f for f in source.cpp_files("include")}
    for header in headers.values():
        report.check(f"headers: {header.path} compiles alone", compile_complaints(compiler, header))
    report.check("headers: the first include of a source file is its own header",
                 first_include_complaints(list(source.cpp_files("include", "src"))))
    report.check("headers: ringlet.hpp includes every public header", umbrella_complaints(headers))
    check_budget(report, headers)
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1:] or ["g++"])
