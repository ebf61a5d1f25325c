"""Every file says its layer and includes only downwards; liburing and Boost stay where they belong."""
import re

import source
from report import Report

SCOPES, IO = 3, 4  # the two layers that do not know each other


def target_of(name, including, files):
    """The file of the tree that an include names; None for a system header."""
    inner = name[1:-1]
    folder = including.path.rsplit("/", 1)[0]
    for path in (f"include/{inner}", f"{folder}/{inner}", f"src/{inner}"):
        if path in files:
            return files[path]
    return None


def layer_complaints(files):
    for f in files.values():
        if f.layer() is None:
            yield f"{f.path}: its first line is not `// L<0-6> name: job`"


def direction_complaints(files):
    for f in files.values():
        for line, name in f.includes():
            target = target_of(name, f, files)
            if target is None or target.layer() is None or f.layer() is None:
                continue
            upwards = target.layer() > f.layer()
            across = f.layer() == IO and target.layer() == SCOPES
            if upwards or across:
                yield f"{f.path}:{line}: L{f.layer()} includes {name} of L{target.layer()}"


def missing_complaints(files):
    for f in files.values():
        for line, name in f.includes():
            own = name.startswith('"') or name.startswith("<ringlet/")
            if own and target_of(name, f, files) is None:
                yield f"{f.path}:{line}: there is no {name}"


def outside_complaints(files, pattern, allowed):
    for f in files.values():
        for line, name in f.includes():
            if re.match(pattern, name) and not re.match(allowed, f.path):
                yield f"{f.path}:{line}: includes {name}"


def cycle_complaints(files):
    """Depth first; a file met again on the way down closes a cycle."""
    state = {}

    def visit(f, way):
        if state.get(f.path) == "done":
            return
        if f.path in way:
            yield " -> ".join(way[way.index(f.path):] + [f.path])
            return
        for _, name in f.includes():
            target = target_of(name, f, files)
            if target is not None:
                yield from visit(target, way + [f.path])
        state[f.path] = "done"

    for f in files.values():
        yield from visit(f, [])


def main():
    files = {f.path: f for f in source.cpp_files("include", "src")}
    report = Report()
    report.check("layers: the first line of every file says its layer and its job", layer_complaints(files))
    report.check("layers: every file includes only its own layer or lower ones, and L3 and L4 do not know each other",
                 direction_complaints(files))
    report.check("layers: what is included with quotes or from ringlet/ is in the tree", missing_complaints(files))
    report.check("layers: no header includes itself on a way round", cycle_complaints(files))
    report.check("layers: liburing is included only under src/uring/",
                 outside_complaints(files, r"<liburing", r"src/uring/"))
    report.check("layers: nobody includes the kernel's headers past liburing",
                 outside_complaints(files, r"<(linux|asm)/", r"$nowhere"))
    report.check("layers: Boost is included only by src/fiber.cpp",
                 outside_complaints(files, r"<boost/", r"src/fiber\.cpp$"))
    report.check("layers: public headers include only the C++ library and each other",
                 outside_complaints({p: f for p, f in files.items() if p.startswith("include/")},
                                    r"(?!<ringlet/[a-z_/]+\.hpp>|<[a-z_]+>)", r"$nowhere"))
    report.finish()


if __name__ == "__main__":
    main()
