"""How the columns of a table moved: before and after, a small chart each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mltemporal.plots.look import COLOURS, Picture, frame_axes, nothing, one_line

if TYPE_CHECKING:
    from mltemporal.profiling.drift import ColumnDrift, Drift

_CHARTS = 12
_ACROSS = 3
_VALUES = 8
_DAY_S = 86_400


def plot_drift(drift: Drift) -> Figure:
    """Return a chart of each column that moved, the first twelve: shares of the values before and after."""
    moved = [column for column in drift.columns if column.moved and column.before]
    if not moved:
        return nothing(f"no column moved, of {len(drift.columns)} that were compared")
    shown = moved[:_CHARTS]
    across = min(_ACROSS, len(shown))
    down = math.ceil(len(shown) / across)
    figure = Picture(figsize=(3.5 * max(2, across), 2.3 * down + 0.5), layout="constrained")
    for place, column in enumerate(shown):
        ax = figure.add_subplot(down, across, place + 1)
        _draw_numbers(ax, column) if column.edges else _draw_values(ax, column)
        frame_axes(ax)
        ax.grid(visible=False)
        ax.set_title(_title(column), loc="left", fontsize=9, parse_math=False)
    figure.legend(
        handles=[Patch(color=COLOURS[0], label="before"), Patch(color=COLOURS[1], label="after")],
        loc="outside upper right",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    rest = len(moved) - len(shown)
    left_out = f", {rest} of them not shown" if rest else ""
    text = f"{len(drift.moved)} of {len(drift.columns)} columns moved{left_out}"
    figure.suptitle(text, x=0.01, ha="left", fontsize=10)
    return figure


def _title(column: ColumnDrift) -> str:
    name = one_line(column.name, 24)
    if abs(column.nulls_after - column.nulls_before) >= 0.1:
        return f"{name}  (missing: {100 * column.nulls_before:.2g} % → {100 * column.nulls_after:.2g} %)"
    return f"{name}  (stability index {column.psi:.2f})"


def _draw_numbers(ax: Axes, column: ColumnDrift) -> None:
    times = column.kind in ("date", "timestamp")
    edges = [edge / (_DAY_S if times else 1) for edge in column.edges]  # matplotlib counts days
    for index, shares in enumerate((column.before, column.after)):
        ax.stairs(shares, edges, fill=True, color=COLOURS[index], alpha=0.35)
        ax.stairs(shares, edges, color=COLOURS[index], lw=1.2)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    if times:
        locator = AutoDateLocator(minticks=2, maxticks=4)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))


def _draw_values(ax: Axes, column: ColumnDrift) -> None:
    largest = sorted(range(len(column.labels)), key=lambda i: -max(column.before[i], column.after[i]))[
        :_VALUES
    ]
    for index, shares in enumerate((column.before, column.after)):
        places = [place - 0.2 + 0.4 * index for place in range(len(largest))]
        ax.barh(places, [shares[i] for i in largest], height=0.38, color=COLOURS[index])
    ax.set_yticks(range(len(largest)), [one_line(column.labels[i], 16) for i in largest], parse_math=False)
    ax.set_ylim(max(2, len(largest)) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
