"""Makes the tables of results.md."""
import os
import platform
from datetime import date

import plot
from figures import relative
from rounds import name_of


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def ratio(value):
    return "" if value is None else f"{value:.2f}"


def raw_names(found):
    return [name for name, group in found["groups"].items() if group == "raw"]


def by_server(found, part, tasks, figure, show):
    """Rows of a table: a server, and for each task its shown figure."""
    columns = []
    for task in tasks:
        values = {name: figure(slices) for name, slices in found[part][task].items() if slices.rounds}
        columns.append(show(values))
    return [[name] + [column.get(name, "") for column in columns] for name in found["groups"]]


def relative_to_raw(found):
    def show(values):
        return {name: ratio(value) for name, value in relative(values, raw_names(found)).items()}
    return show


def plain(values):
    return {name: f"{value:,.0f}" for name, value in values.items()}


def echo_table(found, part, figure, show):
    tasks = list(found[part])
    return table(["server"] + [name_of(load) for load in tasks], by_server(found, part, tasks, figure, show))


def echo_tables(found):
    best = relative_to_raw(found)
    return [
        "c: connections; d: messages in flight on each; then the size of a message. Server CPU a request, relative to "
        "the best raw io_uring variant of the load:",
        echo_table(found, "echo", lambda s: s.cost(), best),
        "ringlet's best style of each load against the best raw io_uring variant and against each peer:",
        verdict(found),
        "Server CPU over the load generator's CPU in the same slices, relative in the same way:",
        echo_table(found, "echo", lambda s: s.share(), best),
        "Server CPU a request, ns:",
        echo_table(found, "echo", lambda s: s.cost(), plain),
        "Requests a second:",
        echo_table(found, "echo", lambda s: s.rate(), plain),
    ]


def two_tables(found):
    return [
        "Server CPU a request, relative to the best raw io_uring variant of the load:",
        echo_table(found, "two", lambda s: s.cost(), relative_to_raw(found)),
        "Requests a second:",
        echo_table(found, "two", lambda s: s.rate(), plain),
    ]


def verdict(found):
    """ringlet over each of those it shall not be behind."""
    tasks = list(found["echo"])
    rows = {}
    for task in tasks:
        values = {name: s.cost() for name, s in found["echo"][task].items() if s.rounds}
        best = {}
        for name, value in values.items():
            rival = "the best raw" if found["groups"][name] == "raw" else name
            best[rival] = min(value, best.get(rival, value))
        own = min((best.pop(n) for n in list(best) if found["groups"].get(n) == "ringlet"), default=None)
        if own is not None:
            for rival, value in best.items():
                rows.setdefault(rival, {})[task] = ratio(own / value)
    return table(["ringlet over"] + [name_of(load) for load in tasks],
                 [[rival] + [row.get(task, "") for task in tasks] for rival, row in sorted(
                     rows.items(), key=lambda item: item[0] != "the best raw")])


def churn_table(found):
    rows = []
    figures = {name: slices for name, slices in found["churn"]["churn"].items() if slices.rounds}
    epoll = figures.get("raw epoll")
    for name, slices in figures.items():
        against = ratio(epoll.cost() / slices.cost()) if epoll else ""
        rows.append([name, f"{slices.cost():,.0f}", f"{slices.rate():,.0f}", against])
    return table(["server", "server CPU, ns a connection", "connections a second", "raw epoll's CPU over its own"],
                 rows)


def memory_table(found):
    counts = sorted({count for values in found["memory"].values() for count in values})
    rows = [[name] + [f"{values[count]:,.0f}" if count in values else "" for count in counts]
            for name, values in found["memory"].items()]
    return table(["server"] + [f"{count:,} connections" for count in counts], rows)


def small_table(rows, unit, digits):
    lines = []
    for row, values in rows.items():
        own, limit = values.get("ringlet"), values.get("limit")
        both = own is not None and limit is not None
        lines.append([row] + ["" if value is None else f"{value:,.{digits}f}" for value in (own, limit)]
                     + [ratio(own / limit) if both else ""])
    return table(["operation", f"ringlet, {unit}", f"by hand, {unit}", "ratio"], lines)


def instruction_table(found):
    depths = sorted({depth for values in found.values() for depth in values})
    rows = [[name] + [f"{values[depth]:,.0f}" for depth in depths] for name, values in found.items()]
    return table(["server"] + [f"c64 d{depth} 64B" for depth in depths], rows)


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = os.getloadavg()[0]
    return (f"{date.today()}, {os.cpu_count()} CPUs ({model}), Linux {platform.release()}; load average at the end "
            f"{load:.1f}, of which about 1 is the benchmark itself.")


def make(found, quick):
    parts = ["# Results of `./dev bench" + (" --quick`" if quick else "`"), machine(),
             "What the figures mean, and what they do not show: README.md beside this file."]
    if "echo" in found:
        parts += [f"## Echo, server and load generator on the same CPU, {found['rounds']['echo']} rounds"]
        parts += echo_tables(found)
    if "two" in found:
        parts += [f"## Echo on two CPUs, {found['rounds']['two']} rounds"]
        parts += two_tables(found)
    if "churn" in found:
        parts += [f"## Connect, one echo, close: 64 at a time, {found['rounds']['churn']} rounds", churn_table(found)]
    if "memory" in found:
        parts += ["## Memory of an idle connection, bytes", memory_table(found)]
    if "micro" in found:
        parts += ["## Small operations", small_table(found["micro"], "ns", 1)]
    if "instructions" in found:
        parts += ["## Instructions in user space for one echo", instruction_table(found["instructions"])]
    if "micro instructions" in found:
        parts += ["## Instructions in user space of small operations",
                  small_table(found["micro instructions"], "instructions", 0)]
    return "\n\n".join(parts) + "\n"


def echo_bars(found):
    """{load: {server: server CPU a request over the best raw variant's}}."""
    bars = {}
    for load, servers in found["echo"].items():
        values = {name: slices.cost() for name, slices in servers.items() if slices.rounds}
        among = relative(values, raw_names(found))
        bars[name_of(load)] = {name: among[name] for name in found["groups"] if among.get(name) is not None}
    return bars


def write(found, options):
    text = make(found, options.quick)
    (options.results / "results.md").write_text(text, encoding="utf-8")
    if "echo" in found:
        (options.results / "results.svg").write_text(plot.make(echo_bars(found)), encoding="utf-8")
    return text
