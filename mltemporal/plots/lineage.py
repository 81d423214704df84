"""Where a dataset came from: datasets as boxes, the jobs and steps between them as arrows."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from mltemporal.plots.look import COLOURS, DIM, Picture, nothing, one_line

_BOX_WIDTH, _BOX_HEIGHT = 2.0, 0.62  # inches, as all lengths here
_GAP, _TEXT_WIDTH = 2.9, 2.4
_LINE, _ROOM = 0.15, 0.3
_LETTERS, _LINES = 34, 7


@dataclass(frozen=True, kw_only=True)
class LineageNode:
    """A dataset."""

    id: str
    label: str
    rows: int = -1
    """-1 where unknown."""
    depth: int = 0
    """How many jobs lie between it and the dataset that is asked about, which has 0."""


@dataclass(frozen=True, kw_only=True)
class LineageEdge:
    """What made a dataset of another one."""

    source: str
    target: str
    label: str = ""
    """The job in the first line, a step in each other."""


def plot_lineage(nodes: Sequence[LineageNode], edges: Sequence[LineageEdge]) -> Figure:
    """Return a drawing from left to right: where a dataset came from, and what was done on the way.

    Args:
        nodes: the datasets; long names are cut.
        edges: between them; those from or to a dataset that is not among ``nodes`` are passed over.
    """
    if not nodes:
        return nothing("nothing is known of where it came from")
    known = {node.id: node for node in nodes}
    drawn = list(dict.fromkeys(edge for edge in edges if {edge.source, edge.target} <= set(known)))
    labels = {edge: _wrapped(edge.label) for edge in drawn}
    columns = _columns(known, drawn)
    places, height = _places(columns, labels)
    width = len(columns) * (_BOX_WIDTH + _GAP) - _GAP + 2 * _ROOM
    figure = Picture(figsize=(max(3.2, width), max(1.2, height + 2 * _ROOM)))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set_xlim(-_ROOM, max(3.2, width) - _ROOM)
    ax.set_ylim(max(1.2, height + 2 * _ROOM) - _ROOM, -_ROOM)
    met = Counter(edge.target for edge in drawn)
    for edge in drawn:
        _draw_edge(
            ax,
            places[edge.source],
            places[edge.target],
            labels[edge],
            beside_source=met[edge.target] > 1,
        )
    for node in known.values():
        _draw_node(ax, places[node.id], node)
    return figure


def _columns(known: dict[str, LineageNode], edges: Sequence[LineageEdge]) -> list[list[str]]:
    """Return the nodes of each column, the oldest first: every dataset right of all it was made from."""
    depth = {name: max(0, node.depth) for name, node in known.items()}
    for _ in known:  # a path has no more edges than this, so a circle ends too
        for edge in edges:
            if edge.source != edge.target:
                depth[edge.source] = min(len(known), max(depth[edge.source], depth[edge.target] + 1))
    used = sorted(set(depth.values()), reverse=True)
    return [[name for name in known if depth[name] == each] for each in used]


def _places(
    columns: Sequence[Sequence[str]], labels: dict[LineageEdge, list[str]]
) -> tuple[dict[str, tuple[float, float]], float]:
    """Return the left end and middle of each box, and the height of all; a label has room beside its box."""
    lines: dict[str, int] = defaultdict(int)
    for edge, label in labels.items():
        lines[edge.source] = max(lines[edge.source], len(label))
        lines[edge.target] = max(lines[edge.target], len(label))
    needed = {
        name: max(_BOX_HEIGHT + _ROOM, lines[name] * _LINE + _ROOM) for each in columns for name in each
    }
    height = max(sum(needed[name] for name in each) for each in columns)
    places: dict[str, tuple[float, float]] = {}
    for number, each in enumerate(columns):
        top = (height - sum(needed[name] for name in each)) / 2
        for name in each:
            places[name] = (number * (_BOX_WIDTH + _GAP), top + needed[name] / 2)
            top += needed[name]
    return places, height


def _wrapped(label: str) -> list[str]:
    """Return a label in lines that fit between two boxes, not more than seven."""
    lines = [
        line
        for part in label.split("\n")
        for line in textwrap.wrap(one_line(part, 200), _LETTERS, break_long_words=True)
    ]
    more = len(lines) - _LINES
    return [*lines[: _LINES - 1], f"… {more + 1} more lines"] if more > 0 else lines


def _draw_node(ax: Axes, place: tuple[float, float], node: LineageNode) -> None:
    left, middle = place
    asked = node.depth == 0
    ax.add_patch(
        FancyBboxPatch(
            (left, middle - _BOX_HEIGHT / 2),
            _BOX_WIDTH,
            _BOX_HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="#e3f0fd" if asked else "#ffffff",
            edgecolor=COLOURS[0] if asked else "#90a4ae",
            lw=1.4 if asked else 1.0,
            zorder=3,
        )
    )
    rows = f"{node.rows:,} rows" if node.rows >= 0 else "rows not counted"
    centre = left + _BOX_WIDTH / 2
    name = one_line(node.label, 24)
    ax.text(centre, middle - 0.1, name, ha="center", va="center", fontsize=9.5, zorder=4, parse_math=False)
    ax.text(centre, middle + 0.14, rows, ha="center", va="center", fontsize=8, color=DIM, zorder=4)


def _draw_edge(
    ax: Axes,
    source: tuple[float, float],
    target: tuple[float, float],
    label: list[str],
    *,
    beside_source: bool,
) -> None:
    """Draw an arrow that runs level behind its label, and the label on the height of one of the boxes.

    Args:
        beside_source: where several arrows meet in the target, each label stands where its own begins.
    """
    (left, top), (right, bottom) = (source[0] + _BOX_WIDTH, source[1]), target
    if beside_source:
        path, x, y = [(left, top), (left + _TEXT_WIDTH, top), (right, bottom)], left, top
    else:
        path, x, y = (
            [(left, top), (right - _TEXT_WIDTH, bottom), (right, bottom)],
            right - _TEXT_WIDTH,
            bottom,
        )
    ax.add_patch(
        FancyArrowPatch(
            path=Path(path),
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=0,
            shrinkB=2,
            color="#90a4ae",
            lw=1.1,
            joinstyle="round",
            zorder=1,
        )
    )
    if label:
        ax.text(
            x + _TEXT_WIDTH / 2,
            y,
            "\n".join(label),
            ha="center",
            va="center",
            fontsize=7.5,
            color="#424242",
            linespacing=1.25,
            zorder=2,
            parse_math=False,
            bbox={"boxstyle": "square,pad=0.2", "facecolor": "#ffffff", "edgecolor": "none"},
        )
