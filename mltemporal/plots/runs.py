"""One final metric of every run."""

from __future__ import annotations

import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from mltemporal.plots.look import COLOURS, DIM, ENDS, Picture, frame_axes, legend, named, one_line


def plot_history(frame: pd.DataFrame, metric: str) -> Figure:
    """Return one final metric of every run over time, coloured by trainer; runs without it stand below.

    Args:
        frame: `RunHistory.frame`, with ``created``, ``trainer``, ``name``, ``status`` and the metric.
        metric: the column to draw.
    """
    figure = Picture(figsize=(7.2, 3.6), layout="constrained")
    ax = figure.add_subplot()
    done = frame[frame[metric].notna()] if metric in frame else frame.iloc[:0]
    for index, (trainer, runs) in enumerate(done.groupby("trainer", sort=False)):
        ordered = runs.sort_values("created")
        colour = COLOURS[index % len(COLOURS)]
        ax.plot(
            ordered["created"],
            ordered[metric],
            "o",
            color=colour,
            ms=7,
            alpha=0.85,
            label=named(str(trainer), 60),
        )
    if len(done) <= 12:
        for run in done.to_dict("records"):
            place = (run["created"], run[metric])
            ax.annotate(
                f"{run['id']}", place, (0, 6), textcoords="offset points", ha="center", fontsize=8, color=DIM
            )
    for status, runs in frame[~frame.index.isin(done.index)].groupby("status", sort=False):
        ends = ax.get_xaxis_transform()
        colour = ENDS.get(str(status), "#90a4ae")
        ax.plot(
            runs["created"],
            [0.03] * len(runs),
            "x",
            color=colour,
            ms=6,
            transform=ends,
            label=named(f"{status}, no {metric}", 60),
        )
    frame_axes(ax)
    ax.margins(x=0.06, y=0.16)
    locator = AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_title(one_line(metric, 60), loc="left", fontsize=10, parse_math=False)
    if len(frame):
        legend(ax, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
