"""Small bar charts as images for HTML: viewers of untrusted notebooks drop inline SVG, images they show."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

BLUE, ORANGE = "#1976d2", "#f57c00"
_WIDTH, _HEIGHT = 112, 30


def bars_image(counts: Sequence[float], alt: str) -> str:
    """Return an ``<img>`` of bars side by side; ``alt`` is escaped here."""
    return _image(_bars(counts, max(counts, default=0), 0, _HEIGHT, BLUE, up=True), alt)


def twin_image(before: Sequence[float], after: Sequence[float], alt: str) -> str:
    """Return an ``<img>`` of two charts on one axis: ``before`` above it, ``after`` hangs below."""
    tallest = max([*before, *after], default=0)
    half = _HEIGHT / 2
    above = _bars(before, tallest, 0, half, BLUE, up=True)
    return _image(above + _bars(after, tallest, half, half, ORANGE, up=False), alt)


def _bars(
    counts: Sequence[float], tallest: float, top: float, height: float, colour: str, *, up: bool
) -> str:
    if not counts or tallest <= 0:
        return ""
    room = _WIDTH - 8
    each = min(room / len(counts), 14)
    gap = 1 if each > 3 else 0
    rects = []
    for index, count in enumerate(counts):
        size = max(1.0, (height - 4) * count / tallest) if count else 0
        y = top + height - 1 - size if up else top + 1
        rects.append(
            f'<rect x="{4 + index * each:.1f}" y="{y:.1f}" width="{each - gap:.1f}" height="{size:.1f}"/>'
        )
    return f'<g fill="{colour}">{"".join(rects)}</g>'


def _image(drawn: str, alt: str) -> str:
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}"><rect width="{_WIDTH}" height="{_HEIGHT}" rx="3" fill="#ffffff"/>'
        f"{drawn}</svg>"
    )
    data = base64.b64encode(text.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt, quote=True)}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" style="display:block;margin:0;max-width:none">'
    )
