"""A job's life in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from mltemporal.plots.look import ENDS, Picture, frame_axes, legend, named, nothing, one_line, short_duration

STAGES = {
    "queued": "#cfd8dc",
    "validating": "#b3c7e6",
    "starting": "#90a4ae",
    "running": "#1976d2",
    "paused": "#ffb74d",
}
_MARKERS = {
    "retry": ("X", "#d32f2f"),
    "follow": ("d", "#00838f"),
    "pause": ("s", "#b26a00"),
    "resume": (">", "#2e9e5b"),
    "cancel": ("v", "#616161"),
    "command": ("v", "#7e57c2"),
    **{status: ("o", colour) for status, colour in ENDS.items()},
}
_TEXTS = {"retry": "interrupted, tried again", "follow": "followed by another worker"}


def plot_timeline(events: pd.DataFrame) -> Figure:
    """Return a job's life: a row for each attempt with its stages as bars, retries and commands as marks.

    Args:
        events: `TrainingJob.history()`: ``time``, ``kind``, ``attempt``, ``message``, ``by``, in order.
    """
    if not len(events):
        return nothing("nothing has happened yet")
    life = _Life(events)
    rows = max(life.row, 1)
    figure = Picture(figsize=(8.4, 1.5 + 0.55 * rows), layout="constrained")
    ax = figure.add_subplot()
    for row, stage, start, end in life.bars:
        ax.barh(
            row,
            max(end - start, life.end * 0.002),
            left=start,
            height=0.5,
            color=STAGES.get(stage, "#eceff1"),
        )
    handles: list[Any] = [
        Patch(color=colour, label=stage) for stage, colour in STAGES.items() if stage in life.stages
    ]
    for text, kind in {mark.text: mark.kind for mark in life.marks}.items():
        marker, colour = _MARKERS.get(kind, _MARKERS["command"])
        places = [(mark.at, mark.row) for mark in life.marks if mark.text == text]
        ax.plot(
            [at for at, _ in places],
            [row + 0.36 for _, row in places],
            marker,
            color=colour,
            ms=7,
            clip_on=False,
        )
        handles.append(Line2D([], [], marker=marker, color=colour, ls="", label=named(text, 60)))
    ax.set_yticks(range(1, rows + 1), [f"attempt {row}" for row in range(1, rows + 1)])
    ax.set_ylim(rows + 0.5, 0.5)
    frame_axes(ax)
    ax.grid(axis="x", color="#e8e8e8", lw=0.8)
    ax.grid(visible=False, axis="y")
    ax.set_xlim(0, life.end * 1.02)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: short_duration(seconds)))
    ax.set_title(one_line(life.title, 60), loc="left", fontsize=10, parse_math=False)
    legend(ax, handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@dataclass(frozen=True)
class _Mark:
    kind: str
    text: str
    at: float
    row: int


class _Life:
    """The bars and marks of a timeline, read from the events in order; seconds since the first."""

    def __init__(self, events: pd.DataFrame) -> None:
        self.bars: list[tuple[int, str, float, float]] = []
        self.marks: list[_Mark] = []
        self.row = 1
        self._stage, self._since = "queued", 0.0
        origin = events["time"].iloc[0]
        at, ended = 0.0, ""
        for event in events[events["kind"] != "notice"].to_dict("records"):  # which may come a day later
            at = (event["time"] - origin).total_seconds()
            kind, message = event["kind"], event["message"]
            if kind == "stage":
                ended = ""  # also after an end: somebody tried the job again
                self._turn(at, self.row, message)
            elif kind == "attempt":
                self._turn(at, max(1, int(event["attempt"])), self._stage)
            elif kind == "finished":
                ended = message
                self.marks.append(_Mark(message, message, at, self.row))
                self._turn(at, self.row, "")
            elif kind == "command":
                by = f" by {event['by']}" if event["by"] else ""
                self.marks.append(_Mark(message, f"{message}{by}", at, self.row))
            elif kind in _TEXTS:
                self.marks.append(_Mark(kind, _TEXTS[kind], at, self.row))
        if not ended:
            at = max(at, (pd.Timestamp.now(tz=origin.tz) - origin).total_seconds())
            self._turn(at, self.row, "")
        self.title = f"{ended} after {short_duration(at)}" if ended else "still going on"
        self.end = max(at, 0.1)
        self.stages = {stage for _, stage, _, _ in self.bars}

    def _turn(self, at: float, row: int, stage: str) -> None:
        """End the bar of the stage so far, and begin the next."""
        if self._stage:
            self.bars.append((self.row, self._stage, self._since, at))
        self.row, self._stage, self._since = row, stage, at
