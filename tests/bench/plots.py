"""What costs do as work grows: the plots in host/benches/growth, each a few lines over logarithmic axes."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

SIZES = {"512 B": 512, "4 KiB": 4 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20, "16 MiB": 16 << 20}


@dataclass
class Plot:
    """One picture. A line is its name with its unit, and a pattern of the keys of its figures, whose group is where along the axis it is; `bends` says what bends and why."""

    name: str
    title: str
    along: str
    lines: list
    bends: str = ""


PLOTS = [
    Plot("size", "A message, by its size", "bytes that it says", [
        (f"suite {suite}, {work} (µs)", rf"messages of (.*)/suite {suite}, {work}") for suite in (1, 2) for work in ("seal", "open")
    ], bends="Up to 4 KiB the price is fixed: a signature or a verification in suite 1, the derivation of a key in suite 2. From 64 KiB on it is the bytes, which are hashed, enciphered and copied. It bends upwards once more after 1 MiB: 16 times the bytes cost 16 to 30 times as much. The C library takes buffers of that size from the kernel for each message and gives them back, so that each page is cleared and faulted in again, and they no longer fit the processor's caches."),
    Plot("in-flight", "Requests through the relay, by how many are in flight (suite 2, 512 B)", "in flight", [
        ("requests per second", r"request-rate-(\d+)-suite-2"),
        ("computing for each, in all (ms)", r"request-cpu-(\d+)-suite-2"),
    ], bends="With one in flight most of the time goes to waking three processes in turn. From some ten on both processors are busy, which is where the rate bends; then several messages come at one wake, and the computing for each falls to a third. It goes on falling slowly to 1,000: requests share no lock that more of them would wait for."),
    Plot("nodes", "A relay, by its nodes", "nodes", [
        ("computing for a message (µs)", r"nodes-(\d+)-cpu"),
        ("memory of the relay (MiB)", r"nodes-(\d+)-memory"),
    ], bends="Flat to 100 nodes, as the messages of several come at one wake of a connection; with 1,000 each is a read, a wake and a write of its own, on a connection that the processor's caches have forgotten. Bare tonic bends in the same place. Memory is a fixed part and some 55 KiB for each node, most of it the buffers of its connection."),
    Plot("set-up", "Cold set-up of all channels and pair secrets, a process for each node", "nodes", [
        ("suite 1 (s)", r"cold-setup-(\d+)-suite-1"),
        ("suite 2 (s)", r"cold-setup-(\d+)-suite-2"),
    ], bends="Pairs grow with the square of the nodes, and the time with the pairs: 3, 45 and 780 of them on two processors. A pair takes less in a large set-up, because a process's own start is shared by more of them. What bends it is the number of processors: every node here waits for its turn on two."),
    Plot("plugins", "A node, by its plugins", "plugins beside the three that come with it", [
        ("start to first poll (ms)", r"plugins-(\d+)-start"),
        ("idle memory (MiB)", r"plugins-(\d+)-idle"),
    ], bends="A fixed part, that of the three that come with it and of the engine; then some 1 ms and 0.16 MiB for each plugin, whose compiled code is checked and mapped from the cache, one after the other. A straight line, which only looks bent over a logarithmic axis."),
]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 70, 40, 40, 80
COLOURS = ["#0b6e99", "#b3541e", "#5b7f2b", "#7a4b94"]


def write(folder: Path, figures: dict):
    """Draws each plot of which there are figures."""
    folder.mkdir(exist_ok=True)
    for plot, lines in measured(figures):
        (folder / f"{plot.name}.svg").write_text(drawn(plot, lines))


def measured(figures):
    """The plots of which there are figures, and their lines."""
    for plot in PLOTS:
        lines = [(name, points(figures, pattern)) for name, pattern in plot.lines]
        if all(len(line) > 1 for _, line in lines):
            yield plot, lines


def points(figures, pattern):
    """Where a line goes through: (along, value), from the left to the right."""
    found = ((re.fullmatch(pattern, key), value) for key, value in figures.items())
    return sorted((SIZES.get(match[1]) or int(match[1]), value) for match, value in found if match)


def drawn(plot, lines):
    """The plot as SVG."""
    xs = [x for _, line in lines for x, _ in line]
    ys = [y for _, line in lines for _, y in line]
    (left, right), (low, high) = (math.log10(min(xs)), math.log10(max(xs))), (math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))))

    def at(x, y):
        across = LEFT + (math.log10(x) - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - (math.log10(y) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><text x="{LEFT}" y="20" font-size="14">{plot.title}</text>',
    ]
    for power in range(low, high + 1):
        _, y = at(min(xs), 10**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    names = {bytes: name for name, bytes in SIZES.items()} if plot.name == "size" else {}
    for x in sorted(set(xs)):
        across, _ = at(x, min(ys))
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{names.get(x, x)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - BOTTOM + 36}" text-anchor="end">{plot.along}</text>')
    for n, (name, line) in enumerate(lines):
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*point) for point in line))
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLOURS[n]}" stroke-width="2"/>')
        across, down = LEFT + n % 2 * 320, HEIGHT - 28 + n // 2 * 18
        parts.append(f'<path d="M{across} {down - 4}h20" stroke="{COLOURS[n]}" stroke-width="2"/><text x="{across + 26}" y="{down}">{name}</text>')
    return "\n".join(parts) + "\n</svg>\n"
