"""The files of the tree, and C++ text without its comments and strings."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("include", "src", "examples", "tests", "bench")

_COMMENT_OR_STRING = re.compile(
    r"""//[^\n]*
      | /\*.*?\*/
      | R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'""",
    re.DOTALL | re.VERBOSE)


class File:
    def __init__(self, path, text):
        self.path = path  # from the root of the tree, with slashes
        self.text = text
        self.lines = text.split("\n")

    @classmethod
    def read(cls, path):
        return cls(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))

    def layer(self):
        """The layer that the first line names; None where it names none."""
        found = re.match(r"// L([0-6]) [a-z0-9 ]+: \S", self.lines[0])
        return int(found.group(1)) if found else None

    def includes(self):
        """(line number, the name with its quotes or angle brackets) of every #include."""
        for number, line in enumerate(self.lines, 1):
            found = re.match(r'\s*#\s*include\s*([<"][^>"]+[>"])', line)
            if found:
                yield number, found.group(1)

    def bare(self):
        """The text with comments and the contents of strings blanked out, line for line."""
        return blank_out(self.text)


def blank_out(text):
    def blank(found):
        piece = found.group(0)
        quoted = piece[0] in "\"'R"
        inside = "".join(c if c == "\n" else " " for c in piece)
        return piece[0] + inside[1:-1] + piece[-1] if quoted and len(piece) > 1 else inside

    return _COMMENT_OR_STRING.sub(blank, text)


def cpp_files(*folders):
    for folder in folders or CODE_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.[ch]pp")):
            yield File.read(path)


def text_files():
    """Everything that somebody wrote: code, build files, scripts and pages."""
    own_folders = CODE_FOLDERS + ("docs", ".ci")
    paths = [p for folder in own_folders for p in (ROOT / folder).rglob("*") if "__pycache__" not in p.parts]
    paths += [p for p in ROOT.glob("*") if p.name != ".git"]  # a file in a worktree
    for path in sorted(p for p in paths if p.is_file()):
        try:
            yield File.read(path)
        except UnicodeDecodeError:
            continue


def public_headers():
    return [f for f in cpp_files("include") if "/detail/" not in f.path]
