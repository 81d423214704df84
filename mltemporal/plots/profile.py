"""What the columns of a table are like, a small chart each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mltemporal.plots.look import COLOURS, DIM, Picture, frame_axes, nothing, one_line

if TYPE_CHECKING:
    from mltemporal.profiling.profiles import ColumnProfile, Histogram, Profile

_CHARTS = 24
_ACROSS = 4
_DAY_S = 86_400


def plot_profile(profile: Profile) -> Figure:
    """Return a histogram of each column of numbers or times, and the frequent values of each other one.

    The first 24 columns that there is something to draw of; the figure says how many are left out.
    """
    drawn = [column for column in profile.columns if _drawable(column)]
    if not drawn:
        return nothing("no column has values to draw")
    shown = drawn[:_CHARTS]
    across = min(_ACROSS, len(shown))
    down = math.ceil(len(shown) / across)
    figure = Picture(figsize=(2.7 * max(2, across), 1.9 * down + 0.4), layout="constrained")
    for place, column in enumerate(shown):
        ax = figure.add_subplot(down, across, place + 1)
        if column.histogram is not None and len(column.histogram.counts) > 1:
            _draw_histogram(ax, column.histogram, times=column.kind in ("date", "timestamp"))
        else:
            _draw_values(ax, column)
        frame_axes(ax)
        ax.grid(visible=False)
        ax.set_title(_title(column, profile), loc="left", fontsize=9, parse_math=False)
    rest = len(profile.columns) - len(shown)
    left_out = f"; not drawn: {rest:,} of {len(profile.columns):,} columns" if rest else ""
    figure.suptitle(f"{profile.rows:,} rows{left_out}", x=0.01, ha="left", fontsize=10, color=DIM)
    return figure


def _drawable(column: ColumnProfile) -> bool:
    if column.histogram is not None:
        return len(column.histogram.counts) > 1
    return bool(column.top) and column.top[0].count > 1


def _title(column: ColumnProfile, profile: Profile) -> str:
    missing = f"  {100 * column.nulls / profile.rows:.2g} % missing" if column.nulls else ""
    target = " (target)" if column.name == profile.target else ""
    return one_line(column.name, 24) + target + missing


def _draw_histogram(ax: Axes, histogram: Histogram, *, times: bool) -> None:
    scale = _DAY_S if times else 1  # matplotlib counts days
    low, high = histogram.low / scale, histogram.high / scale
    width = (high - low) / len(histogram.counts)
    lefts = [low + index * width for index in range(len(histogram.counts))]
    ax.bar(lefts, histogram.counts, width=width * 0.92, align="edge", color=COLOURS[0])
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
    if times:
        locator = AutoDateLocator(minticks=2, maxticks=4)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _draw_values(ax: Axes, column: ColumnProfile) -> None:
    top = column.top[:8]
    places = range(len(top))
    ax.barh(places, [each.count for each in top], color=COLOURS[2], height=0.75)
    ax.set_yticks(places, [one_line(each.value, 14) for each in top], parse_math=False)
    ax.set_ylim(max(3, len(top)) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
