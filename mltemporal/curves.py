"""The metrics of a job as lines: one for each metric and attempt, of bounded size.

Panel, static picture and figures draw the same `Curves`: the same axis, the same charts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mltemporal.views import Point
from mltemporal.words import one_line

LIMIT = 4000
"""A line of more points is thinned out to half of this; its peaks stay."""

_SPLITS = frozenset(
    ("train", "training", "learn", "valid", "validation", "val", "test", "eval", "dev", "holdout")
)


@dataclass
class Line:
    """One metric in one attempt; the lists run in parallel, oldest first."""

    metric: str
    attempt: int
    times: list[float] = field(default_factory=list)
    """Seconds since the epoch."""
    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def append(self, time: float, step: float, value: float) -> None:
        """Add a point; now and then thin the line out."""
        self.times.append(time)
        self.steps.append(step)
        self.values.append(value)
        if len(self.values) > LIMIT:
            kept = thinned(self.values, LIMIT // 2)
            self.times = [self.times[i] for i in kept]
            self.steps = [self.steps[i] for i in kept]
            self.values = [self.values[i] for i in kept]


class Curves:
    """All lines of a job. ``add`` takes each point once, in the order of the reports."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self.lines: dict[tuple[str, int], Line] = {}
        self.axis = "time"
        """``step``, or ``time`` where steps are missing or run backwards within an attempt."""
        self.origin = 0.0
        """The time of the first point: zero on the time axis."""
        self._seen = False
        self._newest: dict[int, Point] = {}
        self._backwards = False
        self._last_step: dict[int, int] = {}
        self._first_step: dict[int, int] = {}
        self.cuts = 0
        """How often a newer attempt took the place of what an older one reported: then lines got shorter."""
        self.add(points)

    def add(self, points: Iterable[Point]) -> list[Line]:
        """Take new points; returns them as lines of their own."""
        fresh: dict[tuple[str, int], Line] = {}
        for point in points:
            if not self._seen:
                self._seen, self.origin = True, point.time
            newest = self._newest.get(point.attempt)
            if point.recalled and newest is not None and newest.came_after(point):
                continue  # it is late: the next panel has it in its place
            self._newest[point.attempt] = point
            step = self._step(point)
            if any(step >= first for newer, first in self._first_step.items() if newer > point.attempt):
                continue
            for name, value in point.metrics.items():
                metric = one_line(name)
                for lines in (self.lines, fresh):
                    line = lines.setdefault((metric, point.attempt), Line(metric, point.attempt))
                    line.append(point.time, step, value)
        self.axis = "step" if self._last_step and not self._backwards else "time"
        return list(fresh.values())

    def _step(self, point: Point) -> float:
        """A report without a step belongs to the step before it."""
        last = self._last_step.get(point.attempt)
        if point.step is None:
            return 0.0 if last is None else float(last)
        if last is None:
            self._first_step[point.attempt] = point.step
            self._supersede(point.attempt, point.step)
        elif point.step < last:
            self._backwards = True
        self._last_step[point.attempt] = point.step
        return float(point.step)

    def _supersede(self, attempt: int, first: int) -> None:
        """Take away what older attempts reported from the step on at which a newer one begins."""
        for key, line in list(self.lines.items()):
            kept = next((at for at, step in enumerate(line.steps) if step >= first), len(line.steps))
            if line.attempt >= attempt or kept == len(line.steps):
                continue
            self.cuts += 1
            del line.times[kept:], line.steps[kept:], line.values[kept:]
            if not kept:
                del self.lines[key]

    def xy(self, line: Line) -> tuple[list[float], list[float]]:
        """Return the finite points of ``line`` as they stand in a chart."""
        xs = line.steps if self.axis == "step" else [time - self.origin for time in line.times]
        pairs = [(x, y) for x, y in zip(xs, line.values, strict=True) if math.isfinite(y)]
        return [x for x, _ in pairs], [y for _, y in pairs]

    def of(self, metric: str) -> list[Line]:
        """Return the lines of ``metric``, oldest attempt first."""
        found = [line for line in self.lines.values() if line.metric == metric]
        return sorted(found, key=lambda line: line.attempt)

    def charts(self) -> list[list[str]]:
        """Return the metrics chart by chart: ``train_loss`` and ``valid_loss`` share one."""
        groups: dict[str, list[str]] = {}
        for metric in dict.fromkeys(metric for metric, _ in self.lines):
            groups.setdefault(_subject(metric), []).append(metric)
        return list(groups.values())

    def starts(self) -> dict[int, float]:
        """Return where on the x axis each attempt begins."""
        found: dict[int, float] = {}
        for line in self.lines.values():
            xs, _ = self.xy(line)
            if xs:
                found[line.attempt] = min(xs[0], found.get(line.attempt, xs[0]))
        return dict(sorted(found.items()))


def _subject(metric: str) -> str:
    """What a metric measures, without the part of the data it was measured on."""
    words = re.split(r"[\W_]+", metric.lower())
    return " ".join(word for word in words if word not in _SPLITS) or metric


def thinned(values: Sequence[float], keep: int) -> list[int]:
    """Return about ``keep`` indices: the lowest and highest of each stretch, the first and the last."""
    stretch = math.ceil(len(values) / (keep / 2))
    kept = {0, len(values) - 1}
    for start in range(0, len(values), stretch):
        indices = range(start, min(start + stretch, len(values)))
        kept.add(min(indices, key=lambda i: values[i]))
        kept.add(max(indices, key=lambda i: values[i]))
    return sorted(kept)
