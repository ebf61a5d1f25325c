"""The pages quote files that run: check_docs.py [FOLDER OF THE BUILT EXAMPLES]

An HTML comment right before a fenced block says where the block comes from:
  from: PATH                       the whole file
  from: PATH "TEXT"                from the line with this text to the end of the block that begins there
  from: PATH "TEXT" to "TEXT"      from the line with the first text to the next one with the second
  from: PATH "TEXT" to end
  output of: PROGRAM [ARGUMENT]... of an example
  session with: PROGRAM            a server among the examples: `$ nc ...`, then what is typed and answered in turn
Before a table, it says where the code in the last column stands, blanks and ends of lines aside:
  cells from: PATH
"""
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import source
from report import Report

TIME_LIMIT = 60  # seconds, generous: sanitizers and a busy machine

FENCE = re.compile(r"(?:^<!--\s*(?P<claim>(?:(?!-->).)*?)\s*-->\n+)?"
                   r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
FROM = re.compile(r'from: (?P<path>\S+)(?: "(?P<first>.*?)")?(?: to (?:"(?P<last>.*?)"|(?P<end>end)))?$')


class Block:
    def __init__(self, page, found):
        self.claim = found.group("claim") or ""
        self.language = found.group("language")
        self.text = found.group("text")
        self.place = f"{page.path}:{page.text.count(chr(10), 0, found.start('language')) + 1}"


def pages():
    paths = sorted(source.ROOT.glob("*.md")) + sorted((source.ROOT / "docs").glob("*.md"))
    return [source.File.read(p) for p in paths]


def blocks_of(page):
    return [Block(page, found) for found in FENCE.finditer(page.text)]


# --- Quotations

class BadClaim(Exception):
    pass


def line_with(lines, text, start=0):
    for number in range(start, len(lines)):
        if text in lines[number]:
            return number
    raise BadClaim(f'no line has "{text}"')


def end_of_block(lines, first):
    """The line on which the braces that open from `first` on are closed; without braces, that with the semicolon."""
    depth, opened = 0, False
    bare = source.blank_out("\n".join(lines)).split("\n")
    for number in range(first, len(bare)):
        depth += bare[number].count("{") - bare[number].count("}")
        opened = opened or "{" in bare[number]
        if depth <= 0 and (opened or bare[number].rstrip().endswith(";")):
            return number
    return len(bare) - 1


def quoted_part(text, claim):
    lines = text.rstrip("\n").split("\n")
    if claim["first"] is None:
        first, last = 0, len(lines) - 1
    else:
        first = line_with(lines, claim["first"])
        if claim["end"]:
            last = len(lines) - 1
        elif claim["last"] is not None:
            last = line_with(lines, claim["last"], first)
        else:
            last = end_of_block(lines, first)
    return textwrap.dedent("\n".join(lines[first:last + 1])) + "\n"


def quotation_complaints(block):
    claim = FROM.match(block.claim)
    if claim is None:
        yield f"{block.place}: what is `{block.claim}`?"
        return
    path = source.ROOT / claim["path"]
    if not path.is_file():
        yield f"{block.place}: there is no {claim['path']}"
        return
    try:
        actual = quoted_part(path.read_text(encoding="utf-8"), claim)
    except BadClaim as e:
        yield f"{block.place}: {claim['path']}: {e}"
        return
    if actual != block.text:
        yield f"{block.place}: is not what {claim['path']} says:\n{textwrap.indent(actual, '    ')}"


TABLE = re.compile(r"^<!--\s*cells from: (?P<path>\S+)\s*-->\n+(?P<rows>(?:\|.*\n)+)", re.M)


def cell_complaints(page):
    for table in TABLE.finditer(page.text):
        path = source.ROOT / table["path"]
        said = "".join(path.read_text(encoding="utf-8").split()) if path.is_file() else ""
        for row in table["rows"].splitlines()[2:]:
            last = re.split(r"(?<!\\)\|", row.strip("| "))[-1].replace("\\|", "|")
            for code in re.findall(r"`([^`]+)`", last):
                if "".join(code.split()) not in said:
                    yield f"{page.path}: `{code}` is not in {table['path']}"


def unclaimed_complaints(blocks):
    for block in blocks:
        if block.language == "cpp" and not block.claim:
            yield f"{block.place}: C++ that is in no file"


# --- Programs

class CannotRun(Exception):
    """The kernel, or what stands before it, does not let the programs run."""


def expect_runnable(errors):
    for line in errors.splitlines():
        if "io_uring_setup failed" in line or "io_uring_enter failed" in line:
            raise CannotRun(line)


def output_complaints(block, examples):
    program, *arguments = block.claim.removeprefix("output of: ").split()
    done = subprocess.run([examples / program, *arguments], capture_output=True, text=True, timeout=TIME_LIMIT,
                          check=False)
    expect_runnable(done.stderr)
    if done.stdout != block.text:
        yield f"{block.place}: {program} prints otherwise:\n{textwrap.indent(done.stdout + done.stderr, '    ')}"


def talk(port, typed):
    """The answer to each line; empty where the server closed the connection."""
    with socket.create_connection(("localhost", port), timeout=TIME_LIMIT) as connection:
        stream = connection.makefile("rw", encoding="utf-8", newline="\n")
        for line in typed:
            stream.write(line + "\n")
            stream.flush()
            yield stream.readline().rstrip("\n")


def session_complaints(block, examples):
    program = block.claim.removeprefix("session with: ")
    lines = block.text.rstrip("\n").split("\n")[1:]
    with subprocess.Popen([examples / program, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as server:
        try:
            first = server.stdout.readline()
            if not first:
                errors = server.stderr.read()
                expect_runnable(errors)
                yield f"{block.place}: {program} does not start: {errors.strip()}"
                return
            answers = list(talk(int(first.rsplit(":", 1)[1]), lines[::2]))
        finally:
            server.terminate()
    if answers != lines[1::2]:
        yield f"{block.place}: {program} answers {answers}"


def check_programs(report, block, examples):
    name = f"docs: {block.place} `{block.claim}`"
    complaints = session_complaints if block.claim.startswith("session with: ") else output_complaints
    if examples is None:
        report.skip(name, "the examples are not built")
        return
    try:
        report.check(name, complaints(block, examples))
    except CannotRun as e:
        report.skip(name, f"cannot run here: {e}")
    except OSError as e:
        report.check(name, [f"{block.place}: {e}"])


# --- Links and figures

def anchors(page):
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", page.text), re.M):
        words = re.sub(r"[^\w\- ]", "", heading.lower())
        yield words.replace(" ", "-")


def link_complaints(all_pages):
    known = {p.path: set(anchors(p)) for p in all_pages}
    for page in all_pages:
        folder = (source.ROOT / page.path).parent
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.text)):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            linked = (folder / path).resolve() if path else source.ROOT / page.path
            if not linked.exists():
                yield f"{page.path}: links to {target}, which is not there"
            elif anchor and anchor not in known.get(linked.relative_to(source.ROOT).as_posix(), ()):
                yield f"{page.path}: links to {target}, and there is no such heading"


def figure_complaints(all_pages):
    """Rows such as | `src/run.cpp` | 90 | ... name about as many lines as the file has."""
    for page in all_pages:
        for path, figure in re.findall(r"^\| \[?`([\w/.]+)`(?:\]\([^)]*\))? \| (\d+) \|", page.text, re.M):
            file = source.ROOT / path
            actual = file.read_text(encoding="utf-8").count("\n") if file.is_file() else 0
            if abs(actual - int(figure)) > max(15, actual // 5):
                yield f"{page.path}: {path} has {actual} lines, not about {figure}"


def main(examples):
    report = Report()
    all_pages = pages()
    blocks = [block for page in all_pages for block in blocks_of(page)]
    for block in blocks:
        if re.match(r"(output of|session with): ", block.claim):
            check_programs(report, block, examples)
        elif block.claim:
            report.check(f"docs: {block.place} quotes `{block.claim}`", quotation_complaints(block))
    report.check("docs: every piece of C++ is quoted from a file", unclaimed_complaints(blocks))
    report.check("docs: every piece of code in a table that says so is quoted",
                 [complaint for page in all_pages for complaint in cell_complaints(page)])
    report.check("docs: every link within the tree leads somewhere", link_complaints(all_pages))
    report.check("docs: the line counts are about right", figure_complaints(all_pages))
    report.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
