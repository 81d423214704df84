"""Small line charts as SVG text, for where no front end runs. Text goes in escaped."""

from __future__ import annotations

import math
from html import escape

from mltemporal.curves import Curves, thinned
from mltemporal.words import clean, duration, number

COLOURS = ("#1976d2", "#f57c00", "#2e9e5b", "#c2185b", "#7e57c2", "#00838f")
_HALF, _ALONE, _HEIGHT, _GAP = 345, 520, 180, 8
_RIGHT, _TOP, _BOTTOM = 12, 30, 26
_POINTS_DRAWN = 400
_GREY = 'fill="#616161"'


def charts(curves: Curves, groups: list[list[str]]) -> tuple[str, int, int]:
    """Return one picture of a chart for each of ``groups``, two side by side; and its width and height."""
    columns = min(2, len(groups))
    each = _HALF if columns > 1 else _ALONE
    width, height = columns * (each + _GAP) - _GAP, math.ceil(len(groups) / columns) * (_HEIGHT + _GAP) - _GAP
    placed = "".join(
        f'<svg x="{index % columns * (each + _GAP)}" y="{index // columns * (_HEIGHT + _GAP)}">'
        f"{_chart(curves, metrics, each)}</svg>"
        for index, metrics in enumerate(groups)
    )
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui,sans-serif" font-size="11">'
        f'<rect width="{width}" height="{height}" rx="4" fill="#ffffff"/>{placed}</svg>'
    )
    return picture, width, height


def _chart(curves: Curves, metrics: list[str], width: int) -> str:
    """One chart with its legend, and a dashed line where a new attempt begins."""
    lines = [line for metric in metrics for line in curves.of(metric)]
    drawn = [(line, *curves.xy(line)) for line in lines]
    xs = [x for _, line_xs, _ in drawn for x in line_xs] or [0.0]
    ys = [y for _, _, line_ys in drawn for y in line_ys] or [0.0]
    y_of = _Scale(*_padded(ys), _HEIGHT - _BOTTOM, _TOP)
    left = 14 + 6.4 * max(len(number(y)) for y in _ticks(y_of.low, y_of.high, 4))
    x_of = _Scale(min(xs), max(xs), left, width - _RIGHT)
    newest = max((line.attempt for line in lines), default=0)
    parts = _axes(curves, x_of, y_of)
    starts: dict[int, float] = {}
    for line, line_xs, line_ys in drawn:
        if not line_xs:
            continue
        starts[line.attempt] = min(line_xs[0], starts.get(line.attempt, line_xs[0]))
        colour = COLOURS[metrics.index(line.metric) % len(COLOURS)]
        opacity = 1 if line.attempt == newest else 0.45
        parts.append(
            _curve(line_xs, line_ys, x_of, y_of, f'stroke="{colour}" fill="{colour}" opacity="{opacity}"')
        )
    first = min(starts, default=0)
    parts += [_attempt(attempt, x_of(x)) for attempt, x in sorted(starts.items()) if attempt != first]
    return "".join([*parts, _legend(curves, metrics, left, width)])


class _Scale:
    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = (low, high) if high > low else (low - 0.5, low + 0.5)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _padded(ys: list[float]) -> tuple[float, float]:
    low, high = min(ys), max(ys)
    room = 0.06 * (high - low) or abs(low) * 0.1 or 0.5
    return low - room, high + room


def _axes(curves: Curves, x_of: _Scale, y_of: _Scale) -> list[str]:
    parts = []
    for y in _ticks(y_of.low, y_of.high, 4):
        parts += [
            f'<path d="M{x_of.start},{y_of(y):.1f} H{x_of.end}" stroke="#e4e4e4"/>',
            f'<text x="{x_of.start - 6}" y="{y_of(y) + 4:.1f}" text-anchor="end" {_GREY}>{number(y)}</text>',
        ]
    for x in _ticks(x_of.low, x_of.high, 5, whole=curves.axis == "step"):
        label = number(x) if curves.axis == "step" else duration(x)
        parts.append(f'<text x="{x_of(x):.1f}" y="{_HEIGHT - 9}" text-anchor="middle" {_GREY}>{label}</text>')
    return parts


def _ticks(low: float, high: float, about: int, whole: bool = False) -> list[float]:
    """Round numbers between ``low`` and ``high``."""
    raw = (high - low) / about
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    step = max(1, step) if whole else step
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]


def _curve(xs: list[float], ys: list[float], x_of: _Scale, y_of: _Scale, style: str) -> str:
    kept = thinned(ys, _POINTS_DRAWN) if len(ys) > _POINTS_DRAWN else range(len(ys))
    places = [(round(x_of(xs[i]), 1), round(y_of(ys[i]), 1)) for i in kept]
    path = " ".join(f"{x},{y}" for x, y in places)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="2"/>' for x, y in places) if len(places) < 25 else ""
    line = f'<polyline points="{path}" fill="none" stroke-width="1.6" stroke-linejoin="round"/>'
    return f"<g {style}>{line}{dots}</g>"


def _attempt(attempt: int, x: float) -> str:
    return (
        f'<path d="M{x:.1f},{_TOP} V{_HEIGHT - _BOTTOM}" stroke="#757575" stroke-dasharray="4 3"/>'
        f'<text x="{x + 3:.1f}" y="{_TOP + 9}" {_GREY} font-size="10">attempt {attempt}</text>'
    )


def _legend(curves: Curves, metrics: list[str], x: float, end: float) -> str:
    """The metrics' names and latest values, as many as fit."""
    parts: list[str] = []
    for index, metric in enumerate(metrics):
        label = clean(metric)[:28]
        lines = curves.of(metric)
        latest = number(lines[-1].values[-1]) if lines else "–"
        room = 22 + 6.2 * (len(label) + len(latest) + 1)
        if x + room > end and parts:
            parts.append(f'<text x="{x:.1f}" y="19" {_GREY}>…</text>')
            break
        parts.append(
            f'<circle cx="{x + 4:.1f}" cy="15" r="4" fill="{COLOURS[index % len(COLOURS)]}"/>'
            f'<text x="{x + 12:.1f}" y="19" fill="#424242">{escape(label, quote=True)} '
            f'<tspan font-weight="600">{latest}</tspan></text>'
        )
        x += room
    return "".join(parts)
