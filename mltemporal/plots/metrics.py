"""Curves of one job, and one metric of several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mltemporal.curves import Curves, Line
from mltemporal.plots.look import (
    COLOURS,
    DIM,
    Picture,
    frame_axes,
    legend,
    named,
    nothing,
    one_line,
    short_duration,
)
from mltemporal.views import Point

_FACTS = ("step", "attempt", "time")
_MOST_CHARTS = 40
"""More make no picture that anybody looks at, and soon none that can be drawn."""


def plot_metrics(frame: pd.DataFrame) -> Figure:
    """Return the curves of one job: a chart for each group of metrics, attempts shaded.

    Args:
        frame: `TrainingJob.metrics()`: ``step``, ``attempt``, ``time``, then a column a metric.
    """
    curves = _curves(frame)
    groups = curves.charts()
    if not groups:
        return nothing("no metrics were reported yet")
    more, groups = len(groups) - _MOST_CHARTS, groups[:_MOST_CHARTS]
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = Picture(figsize=(4.9 * columns if columns > 1 else 6.4, 2.7 * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(len(groups))]
    for ax, metrics in zip(axes, groups, strict=True):
        _shade_attempts(ax, curves)
        for index, metric in enumerate(metrics):
            _draw(ax, curves, curves.of(metric), COLOURS[index % len(COLOURS)], named(metric, 40))
        _style(ax, curves)
        if len(metrics) == 1:
            ax.set_title(one_line(metrics[0], 60), loc="left", fontsize=10, parse_math=False)
        else:
            legend(
                ax,
                ncols=min(3, len(metrics)),
                loc="lower left",
                bbox_to_anchor=(-0.02, 1.0),
            )
    if more > 0:
        figure.suptitle(f"the first {_MOST_CHARTS} of {_MOST_CHARTS + more} charts", fontsize=9, color=DIM)
    return figure


def plot_comparison(frames: Mapping[str, pd.DataFrame], metric: str) -> Figure:
    """Return one reported metric of several jobs in one chart.

    Args:
        frames: label to `TrainingJob.metrics()`; jobs without the metric are left out.
        metric: the column to compare.
    """
    figure = Picture(figsize=(7.2, 3.6), layout="constrained")
    ax = figure.add_subplot()
    all_curves = {label: _curves(frame) for label, frame in frames.items()}
    shown = {label: curves for label, curves in all_curves.items() if curves.of(metric)}
    if not shown:
        return nothing(f"none of these jobs reported {metric!r}")
    if any(curves.axis != "step" for curves in shown.values()):
        for curves in shown.values():
            curves.axis = "time"  # one axis for all
    for index, (label, curves) in enumerate(shown.items()):
        _draw(ax, curves, curves.of(metric), COLOURS[index % len(COLOURS)], named(label, 60))
    _style(ax, next(iter(shown.values())))
    ax.set_title(one_line(metric, 60), loc="left", fontsize=10, parse_math=False)
    legend(ax, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _curves(frame: pd.DataFrame) -> Curves:
    metrics = [column for column in frame.columns if column not in _FACTS]
    return Curves(_points(frame, metrics))


def _points(frame: pd.DataFrame, metrics: list[str]) -> Iterable[Point]:
    for row in frame.to_dict("records"):
        yield Point(
            attempt=int(row["attempt"]),
            time=row["time"].timestamp(),
            step=None if pd.isna(row["step"]) else int(row["step"]),
            metrics={name: float(row[name]) for name in metrics if not pd.isna(row[name])},
        )


def _draw(ax: Axes, curves: Curves, lines: list[Line], colour: str, label: str) -> None:
    for line in lines:
        xs, ys = curves.xy(line)
        newest = line is lines[-1]
        dots = "o" if len(xs) < 25 else ""
        ax.plot(
            xs,
            ys,
            color=colour,
            lw=1.5,
            marker=dots,
            ms=3,
            alpha=1 if newest else 0.45,
            label=label if newest else None,
        )


def _shade_attempts(ax: Axes, curves: Curves) -> None:
    starts = list(curves.starts().items())
    last = max((x for line in curves.lines.values() for x in curves.xy(line)[0]), default=0.0)
    for index, (attempt, start) in enumerate(starts[1:], start=1):
        end = starts[index + 1][1] if index + 1 < len(starts) else last
        ax.axvspan(start, max(start, end), color="#90a4ae", alpha=0.16 if index % 2 else 0.05, lw=0)
        ax.axvline(start, color="#90a4ae", lw=0.8, ls="--")
        place = ax.get_xaxis_transform()
        ax.text(start, 0.98, f" attempt {attempt}", transform=place, fontsize=7, color=DIM, va="top")


def _style(ax: Axes, curves: Curves) -> None:
    frame_axes(ax)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    if curves.axis == "step":
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.set_xlabel("step", fontsize=8, color=DIM)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: short_duration(seconds)))
