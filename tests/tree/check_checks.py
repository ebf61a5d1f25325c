"""The checks have teeth: each complains about a small text that is wrong, and not about one that is right."""
import sys
from pathlib import Path

import check_docs
import check_headers
import check_layers
import check_source
from report import Report
from source import File, blank_out

report = Report()


def found(name, complaints):
    report.check(f"checks: {name} is found", [] if list(complaints) else ["there was nothing to complain about"])


def accepted(name, complaints):
    report.check(f"checks: {name}", complaints)


def tree(*files):
    return {path: File(path, text) for path, text in files}


def header(text):
    return [File("include/ringlet/x.hpp", "// L0 base: x.\nnamespace ringlet {\n" + text + "\n}\n")]


def blocks(text):
    return check_docs.blocks_of(File("docs/x.md", text))


def check_the_layers():
    a, b = "include/ringlet/a.hpp", "include/ringlet/b.hpp"
    to_a, to_b = "#include <ringlet/a.hpp>\n", "#include <ringlet/b.hpp>\n"
    io, scopes, scheduler = "// L4 io: x.\n", "// L3 scopes: x.\n", "// L2 scheduler: x.\n"
    ring = tree(("src/io.cpp", io + "#include <liburing.h>\n"))
    found("an include upwards", check_layers.direction_complaints(tree((a, scheduler + to_b), (b, io))))
    found("an include from L4 to L3", check_layers.direction_complaints(tree((a, io + to_b), (b, scopes))))
    accepted("an include downwards is fine", check_layers.direction_complaints(tree((a, io + to_b), (b, scheduler))))
    found("a file without a layer", check_layers.layer_complaints(tree((a, "// A file.\n"))))
    found("a circle of headers", check_layers.cycle_complaints(tree((a, io + to_b), (b, io + to_a))))
    found("liburing outside its folder", check_layers.outside_complaints(ring, r"<liburing", r"src/uring/"))


def check_the_headers(compiler):
    nowhere = File("include/ringlet/no_such.hpp", "")
    found("a header that does not compile", check_headers.compile_complaints(compiler, nowhere))
    wrong = [File("include/ringlet/x.hpp", ""), File("src/x.cpp", "#include <vector>\n#include <ringlet/x.hpp>\n")]
    found("a source file that does not begin with its header", check_headers.first_include_complaints(wrong))


def check_the_comments():
    complaints = check_source.comment_complaints
    private, overloaded = "/// A class.\nclass c {\n  int a();\n};\n", "/// Calls.\nvoid f();\nvoid f(int);\n"
    found("a public function without a comment", complaints(header("void f();")))
    found("a public member without a comment",
          complaints(header("/// A class.\nclass c {\n public:\n  int size() const;\n};")))
    accepted("private members need no comment", complaints(header(private)))
    accepted("overloads share a comment", complaints(header(overloaded)))
    accepted("namespace detail needs no comment", complaints(header("namespace detail {\nvoid g();\n}")))


def check_the_sources():
    found("a long function", check_source.function_complaints(header("inline void f() {\n" + "  ;\n" * 70 + "}")))
    found("a long file", check_source.length_complaints(header("\n" * 501)))
    harmless = header('bool is_unix(); auto s = "unix:"; static_assert(true);  // linux')
    for (name, pattern), wrong in zip(check_source.FORBIDDEN, ["int unix = 1;", "assert(true);"]):
        found(wrong, check_source.pattern_complaints(header(wrong), pattern))
        accepted(f"nothing harmless breaks: {name}", check_source.pattern_complaints(harmless, pattern))
    found("printing", check_source.printing_complaints(header('std::puts("x");')))
    for name, wrong in [("a tab", "int a;\t"), ("a blank at the end", "int a; "), ("a path", "// /ho" + "me/me/x")]:
        found(name, check_source.text_complaints(header(wrong)))
    blank = blank_out('a("b\\"c", \'"\'); // d\n/* e */ f')
    accepted("strings and comments are blanked out", [] if blank == 'a("    ", \' \');     \n        f' else [blank])


def check_the_pages():
    def quotation(claim, text):
        return check_docs.quotation_complaints(blocks(f"<!-- {claim} -->\n```cpp\n{text}\n```\n")[0])

    found("a quotation that is not so", quotation("from: LICENSE", "int main() {}"))
    found("a quotation from nowhere", quotation("from: no/such.cpp", "int x;"))
    claim = check_docs.FROM.match('from: x "void f"')
    part = check_docs.quoted_part("  int a;\n  void f() {\n    { g(); }\n  }\n  int b;\n", claim)
    accepted("a quoted function ends with its brace", [] if part == "void f() {\n  { g(); }\n}\n" else [part])
    found("C++ without a source", check_docs.unclaimed_complaints(blocks("```cpp\nint x;\n```\n")))
    cells = "<!-- cells from: LICENSE -->\n| a | b |\n|---|---|\n| `x` | `int main()` |\n"
    found("a cell that is quoted from nowhere", check_docs.cell_complaints(File("docs/x.md", cells)))
    no_server = blocks("<!-- session with: false -->\n```console\n$ nc localhost 1\n1\n1\n```\n")[0]
    found("a server that does not start", check_docs.session_complaints(no_server, Path("/bin")))
    found("a broken link", check_docs.link_complaints([File("docs/x.md", "[x](nowhere.md)")]))
    found("a wrong line count", check_docs.figure_complaints([File("docs/x.md", "| `meson.build` | 9000 | x |")]))


def main(compiler):
    check_the_layers()
    check_the_headers(compiler)
    check_the_comments()
    check_the_sources()
    check_the_pages()
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1:] or ["g++"])
