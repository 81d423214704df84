"""The monitor's rounds in one picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mltemporal.plots.look import DIM, Picture, frame_axes, nothing, one_line

STATES = {"ok": "#8fc7a6", "warning": "#f0b75a", "problem": "#d32f2f"}
"""Colours of the states, the good one quiet."""
_GAP = 3.0
"""Rounds that are further apart than so many usual distances leave a hole: nobody looked."""


def plot_health(history: pd.DataFrame) -> Figure:
    """Return the rounds as a picture: a row for each part, coloured by its state, latency as a thin line.

    Args:
        history: `HealthBoard.history`: ``time``, ``round``, ``part``, ``state``, ``latency_ms`` …
    """
    if not len(history):
        return nothing("no round of the monitor was recorded yet: mltemporal.monitor() starts one")
    parts = list(dict.fromkeys(history["part"]))
    width = _usual_distance(history)
    figure = Picture(figsize=(8.4, 1.1 + 0.42 * len(parts)), layout="constrained")
    ax = figure.add_subplot()
    for row, part in enumerate(parts):
        of_part = history[history["part"] == part].sort_values("time")
        starts = date2num(of_part["time"].dt.tz_localize(None).to_numpy())
        ends = [*starts[1:], starts[-1] + width]
        for state, colour in STATES.items():
            bars = [
                (start, min(end - start, _GAP * width))
                for start, end, found in zip(starts, ends, of_part["state"], strict=True)
                if found == state
            ]
            ax.broken_barh(bars, (row - 0.38, 0.76), color=colour, lw=0)
        _latency(ax, row, starts, of_part["latency_ms"], _GAP * width)
    ax.set_yticks(range(len(parts)), [one_line(part, 40) for part in parts], parse_math=False)
    ax.set_ylim(len(parts) - 0.5, -0.5)
    frame_axes(ax)
    ax.grid(visible=False, axis="y")
    locator = AutoDateLocator(minticks=3, maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    handles = [Patch(color=colour, label=state) for state, colour in STATES.items()]
    ax.legend(handles=handles, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    rounds = history["round"].nunique()
    ax.set_title(f"{rounds} rounds; line: how long the look took (UTC)", loc="left", fontsize=9, color=DIM)
    return figure


def _latency(ax: Axes, row: int, starts: np.ndarray, latency_ms: pd.Series, hole: float) -> None:
    """Draw the latency in the row, its largest value at the row's top; broken where nobody looked."""
    top = float(latency_ms.max())
    if len(latency_ms) > 1 and top > 0:
        holes = np.flatnonzero(np.diff(starts) > hole) + 1
        heights = np.insert(row + 0.33 - 0.62 * latency_ms.to_numpy(float) / top, holes, np.nan)
        ax.plot(np.insert(starts, holes, np.nan), heights, color="#37474f", lw=0.7, alpha=0.8)


def _usual_distance(history: pd.DataFrame) -> float:
    """Return the usual time between two rounds, in days; a minute where there is one round."""
    times = history.groupby("round")["time"].min().sort_values()
    if len(times) < 2:
        return 1 / 1440
    return max(1e-6, float(times.diff().dt.total_seconds().median()) / 86_400)
