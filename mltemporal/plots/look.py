"""What all figures have in common: how they show themselves, colours, axes."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mltemporal import words

COLOURS = ("#1976d2", "#f57c00", "#2e9e5b", "#c2185b", "#7e57c2", "#00838f", "#8d6e63", "#546e7a")
ENDS = {"succeeded": "#2e8b57", "failed": "#d32f2f", "cancelled": "#616161"}
"""Colours of the final statuses."""
DIM = "#616161"


class Picture(Figure):
    """A figure that shows itself in a notebook, whatever pyplot is set to."""

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=110)
        return data.getvalue()


def frame_axes(ax: Axes) -> None:
    """Draw the axes quietly: two spines, a light grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bdbdbd")
    ax.tick_params(labelsize=8, color="#bdbdbd", labelcolor="#424242")
    ax.grid(axis="y", color="#e8e8e8", lw=0.8)
    ax.set_axisbelow(True)


def legend(ax: Axes, **options: Any) -> None:
    """Draw a legend in which names from users are text, whatever they hold: no formulas between dollars."""
    for text in ax.legend(frameon=False, fontsize=8, **options).get_texts():
        text.set_parse_math(False)


def nothing(text: str) -> Figure:
    """Return a figure that only says why there is nothing to draw."""
    figure = Picture(figsize=(6.4, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=DIM, parse_math=False)
    return figure


def short_duration(seconds: float) -> str:
    """Return seconds as a tick's label."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def named(text: str, limit: int) -> str:
    """Return foreign text as a legend's entry: matplotlib would leave out one that begins with ``_``."""
    line = one_line(text, limit)
    return f" {line}" if line[:1] in ("", "_") else line


def one_line(text: str, limit: int) -> str:
    """Return foreign text as one line of at most ``limit`` characters; draw it with ``parse_math=False``."""
    line = words.one_line(text)
    return line if len(line) <= limit else line[: limit - 1] + "…"
