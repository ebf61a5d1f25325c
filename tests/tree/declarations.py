"""Splits C++ text into declarations, roughly: enough for code formatted as this project's is."""
import re

import source


class Declaration:
    def __init__(self, text, first, last, scopes, access, comment, trailing):
        self.text = text          # without comments, in one line
        self.first = first        # line numbers, from 1
        self.last = last          # of the closing brace, if it has a body
        self.scopes = scopes      # (kind, name) of what it stands in, from outside in
        self.access = access      # "private" where a class that it stands in is; "public" in a namespace
        self.comment = comment    # the /// lines right before it, in one line
        self.trailing = trailing  # has a comment at the end of its first line

    def name(self):
        """The name declared, as far as a rough look can tell."""
        text = re.sub(r"^template\s*<.*?>\s*(?=[a-z\[])", "", self.text)
        if text.startswith("requires("):
            text = text[matching(text, len("requires"), "()") + 1:].lstrip()
        kind = re.match(r"(?:enum class|enum|class|struct)\s+(?:\[\[.*?\]\]\s*)?(\w+)", text)
        if kind:
            return kind.group(1)
        using = re.match(r"using\s+(?:[\w:]+::)?(\w+)", text)
        if using:
            return using.group(1)
        function = re.search(r"(operator\s*(?:\(\)|[^\s(]+|\w+)|~?\w+)\s*\(", text)
        if function:
            return function.group(1)
        variable = re.search(r"(\w+)\s*(?:[={;\[]|$)", text)
        return variable.group(1) if variable else text

    def is_function(self):
        without_arguments = re.sub(r"<[^<>]*(<[^<>]*>[^<>]*)*>", "", self.text)
        return not self.is_type() and "(" in without_arguments and not self.text.startswith("using")

    def is_type(self):
        return bool(re.match(r"(template\s*<.*>\s*)?(class|struct|enum|union)\b", self.text))


def kind_of(text):
    """(kind, name) of the scope that a brace after this text opens."""
    if re.match(r"(inline\s+)?namespace\b", text):
        return "namespace", re.sub(r"(inline\s+)?namespace\s*", "", text) or "(anonymous)"
    head = re.sub(r"template\s*<.*?>\s*(requires\b.*?)?(?=(class|struct|union|enum)\b)", "", text)
    if re.match(r"enum\b", head):
        return "enum", ""
    attributes = r"(?:\[\[.*?\]\]\s*)?(?:alignas\(.*?\)\s*)?"
    found = re.match(r"(class|struct|union)\s+" + attributes + r"([\w:]*(?:<[^<>]*>::\w+)?)", head)
    if found and "=" not in head:
        return found.group(1), found.group(2)
    return "body", ""


def matching(text, at, pair):
    """Where what opens at `at` is closed; the end of the text where it is not."""
    depth = 0
    for position in range(at, len(text)):
        depth += {pair[0]: 1, pair[1]: -1}.get(text[position], 0)
        if depth == 0:
            return position
    return len(text) - 1


def without_preprocessor(text):
    """Blanks directives out, with the lines that they go on in."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)


def comment_before(lines, first):
    """The /// lines right above line `first`."""
    at, found = first - 2, []
    while at >= 0 and lines[at].strip().startswith("///"):
        found.insert(0, lines[at].strip()[3:].strip())
        at -= 1
    return " ".join(found)


def declarations(file):
    text = without_preprocessor(source.blank_out(file.text))
    scopes = []  # [kind, name, access of what comes next]
    start, at, parentheses = 0, 0, 0

    def declaration(end, last):
        piece = text[start:end]
        first = text.count("\n", 0, start + len(piece) - len(piece.lstrip())) + 1
        words = " ".join(piece.split())
        access = next((s[2] for s in scopes if s[2] != "public"), "public")
        end_of_text = start + len(piece.rstrip())
        trailing = "//" in file.lines[text.count("\n", 0, end_of_text)]
        return Declaration(words, first, text.count("\n", 0, last) + 1, [tuple(s[:2]) for s in scopes], access,
                           comment_before(file.lines, first), trailing)

    while at < len(text):
        c = text[at]
        parentheses += {"(": 1, ")": -1}.get(c, 0)
        so_far = text[start:at].strip()
        if c == ":" and re.fullmatch(r"public|private|protected", so_far):
            scopes[-1][2] = so_far
            start = at + 1
        elif c == ";" and parentheses == 0:
            if so_far:
                yield declaration(at, at)
            start = at + 1
        elif c == "}" and parentheses == 0:
            if so_far:
                yield declaration(at, at)  # the last enumerator
            scopes.pop()
            start = at + 1
        elif c == "," and scopes and scopes[-1][0] == "enum":
            yield declaration(at, at)
            start = at + 1
        elif c == "{":
            kind, name = kind_of(" ".join(so_far.split())) if parentheses == 0 else ("body", "")
            if kind == "body":
                end = matching(text, at, "{}")
                if parentheses == 0:
                    follows = text[end + 1:].lstrip()[:1]
                    if follows not in (",", "{"):  # a constructor's list of members goes on
                        yield declaration(at, end)
                        start = end + 1
                at = end
            else:
                if kind != "namespace":
                    yield declaration(at, at)
                scopes.append([kind, name, "private" if kind == "class" else "public"])
                start = at + 1
        at += 1
