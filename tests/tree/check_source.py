"""Sizes, comments of public declarations, and what must not be in the text."""
import re

import source
from declarations import declarations
from report import Report

LONGEST_FILE = 500
LONGEST_TEST = 800  # read one case at a time, and named after one header: that may be a large one
LONGEST_FUNCTION = 60

# What says all there is to say by being there.
SPEAKS_FOR_ITSELF = re.compile("|".join([
    r"= (default|delete)$",
    r"^~\w+\(",
    r"\boverride$",
    r"\((const )?(\w+)(<\w+>)?&{1,2} other\)|\boperator=\(\w+ other\)",  # copies and moves
    r"^(template\s*<.*>\s*)?(class|struct) \w+$",  # only announced
    r"^(class|(inline )?auto) \w+::|\bnursery::spawn\(",  # the definition of what was declared further up
    r"^(friend class|using [\w:]+::\w+$)",
]))

# What the language asks of coroutines, awaiters and ranges; what they promise stands at the function that gives one.
PROTOCOL = re.compile(r"awaiter|promise_type|await_\w+|operator co_await|get_return_object|iterator|sentinel")

FORBIDDEN = [
    ("no identifier is called `unix` or `linux`", r"(?<![\w<\"/.])(?:unix|linux)(?![\w/.])"),
    ("contracts are checked in release builds too: RINGLET_CHECK instead of assert", r"(?<!\w)assert\s*\("),
    ("no co_await in CHECK or REQUIRE, which g++ 12 would await twice", r"\b(?:CHECK|REQUIRE)\w*\(.*\bco_await\b"),
]
PRINTING = re.compile(r"(?<!\w)(?:printf|fprintf|puts|fputs|putchar|perror|fmt::print|std::(?:cout|cerr|clog))\b")
MAY_PRINT = {"src/error.cpp": 1}  # the text of a failed check
PROGRAMS = {"src/info.cpp"}  # not in the library

OWN_PATH = re.compile(r"(?<![\w.])/(?:home|work|root|Users)/")


def length_complaints(files):
    for f in files:
        count = f.text.count("\n")
        if count > (LONGEST_TEST if f.path.startswith("tests/") else LONGEST_FILE):
            yield f"{f.path}: {count} lines"


def function_complaints(files):
    for f in files:
        for d in declarations(f):
            length = d.last - d.first + 1
            if d.is_function() and length > LONGEST_FUNCTION:
                yield f"{f.path}:{d.first}: {d.name()} has {length} lines"


def is_public(d):
    in_detail = any(kind == "namespace" and "detail" in name.split("::") for kind, name in d.scopes)
    return not in_detail and d.access == "public" and ("namespace", "ringlet") in d.scopes


def needs_comment(d):
    around = [name for kind, name in d.scopes if kind != "namespace"]
    of_protocol = any(PROTOCOL.fullmatch(name.split("::")[-1]) or "::" in name for name in around + [d.name()])
    return is_public(d) and not of_protocol and not SPEAKS_FOR_ITSELF.search(d.text)


def comment_complaints(headers):
    """An overload right after a commented declaration of the same name shares its comment."""
    for f in headers:
        before = None
        for d in declarations(f):
            data = not d.is_function() and not d.is_type()
            overload = before is not None and before.name() == d.name() and d.first <= before.last + 1
            if d.comment or (data and d.trailing) or overload:
                before = d
            elif needs_comment(d):
                yield f"{f.path}:{d.first}: {d.name()} has no /// comment"


def pattern_complaints(files, pattern):
    for f in files:
        for number, line in enumerate(f.bare().split("\n"), 1):
            if re.search(pattern, line):
                yield f"{f.path}:{number}: {line.strip()}"


def printing_complaints(files):
    for f in files:
        if f.path in PROGRAMS:
            continue
        lines = [n for n, line in enumerate(f.bare().split("\n"), 1) if PRINTING.search(line)]
        if len(lines) > MAY_PRINT.get(f.path, 0):
            yield f"{f.path}: prints in line {', '.join(map(str, lines))}"


def text_complaints(files):
    for f in files:
        for number, line in enumerate(f.lines, 1):
            if "\t" in line:
                yield f"{f.path}:{number}: a tab"
            if line != line.rstrip():
                yield f"{f.path}:{number}: a blank at the end"
            if OWN_PATH.search(line):
                yield f"{f.path}:{number}: a path of one machine"
        if f.text and not f.text.endswith("\n"):
            yield f"{f.path}: its last line does not end"


def main():
    report = Report()
    code = list(source.cpp_files())
    library = list(source.cpp_files("include", "src"))
    report.check(f"source: no file has more than {LONGEST_FILE} lines, and no test more than {LONGEST_TEST}",
                 length_complaints(code))
    report.check(f"source: no function has more than {LONGEST_FUNCTION} lines",
                 function_complaints(source.cpp_files("include", "src", "examples")))
    report.check("source: every public declaration has a /// comment", comment_complaints(source.public_headers()))
    for name, pattern in FORBIDDEN:
        report.check(f"source: {name}", pattern_complaints(code, pattern))
    report.check("source: the library prints nothing but the text of a failed check",
                 printing_complaints(library))
    report.check("source: no tabs, no blanks at the end of lines, no paths of one machine",
                 text_complaints(source.text_files()))
    report.finish()


if __name__ == "__main__":
    main()
