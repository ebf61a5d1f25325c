"""Draws results.svg: a column for each load, in it a bar for each server."""
from html import escape

LABELS, COLUMN, ROW, TOP = 240, 118, 22, 64
LONGEST = 70  # of a bar
MOST = 3.0  # a longer bar is cut off; its number tells
COLOURS = {"ringlet": "#c2410c", "raw": "#475569"}
PEER = "#94a3b8"


def text(x, y, content, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
            f"{escape(content)}</text>")


def line(x, top, bottom):
    return f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#0f172a" stroke-dasharray="2 3"/>'


def bar(x, y, name, value):
    colour = COLOURS.get(name.split()[0], PEER)
    width = LONGEST * min(value, MOST) / MOST
    return (f'<rect x="{x:.1f}" y="{y + 4:.1f}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>'
            + text(x + width + 4, y + ROW - 7, f"{value:.2f}"))


def make(bars):
    """bars: {load: {server: ratio}}."""
    names = list(dict.fromkeys(name for servers in bars.values() for name in servers))
    width, height = LABELS + COLUMN * len(bars) + 10, TOP + ROW * len(names) + 16
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
             f'height="{height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             text(10, 22, "TCP echo: server CPU a request, over the best hand-written io_uring server of each load; "
                          "shorter is better", weight="bold")]
    for row, name in enumerate(names):
        parts.append(text(10, TOP + ROW * row + ROW - 7, name))
    for column, (load, servers) in enumerate(bars.items()):
        x = LABELS + COLUMN * column
        parts.append(text(x, TOP - 10, load, weight="bold"))
        parts += [bar(x, TOP + ROW * row, name, servers[name])
                  for row, name in enumerate(names) if name in servers]
        parts.append(line(x + LONGEST / MOST, TOP, TOP + ROW * len(names)))
    return "\n".join(parts) + "\n</svg>\n"
