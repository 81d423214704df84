"""How fast a job goes and when it will be through, from its reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mltemporal.views import Point

_WINDOW_S = 60.0
_WINDOW_POINTS = 20


class Pace:
    """The speed over the last minute, or the last 20 reports where they come more slowly."""

    def __init__(self) -> None:
        self.step: int | None = None
        self.total: int | None = None
        self._attempt = 0
        self._newest: Point | None = None
        self._recent: deque[tuple[float, int]] = deque()

    def add(self, points: Iterable[Point]) -> None:
        """Take new points, oldest first."""
        for point in points:
            late = point.recalled and self._newest is not None and self._newest.came_after(point)
            if point.attempt < self._attempt or (late and point.attempt == self._attempt):
                continue
            self._newest = point
            if point.attempt > self._attempt:
                self._attempt = point.attempt
                self.step = self.total = None
                self._recent.clear()
            if point.total is not None:
                self.total = point.total
            if point.step is None:
                continue
            if self.step is not None and point.step < self.step:
                self._recent.clear()  # counting began anew: another epoch
            self.step = point.step
            self._recent.append((point.time, point.step))
            while len(self._recent) > _WINDOW_POINTS and point.time - self._recent[0][0] > _WINDOW_S:
                self._recent.popleft()

    @property
    def rate(self) -> float | None:
        """Steps a second; None before two reports."""
        if len(self._recent) < 2:
            return None
        (first_time, first_step), (last_time, last_step) = self._recent[0], self._recent[-1]
        if last_time <= first_time or last_step <= first_step:
            return None
        return (last_step - first_step) / (last_time - first_time)

    @property
    def eta_at(self) -> float | None:
        """When the last step will be done, in seconds since the epoch; None where that cannot be told."""
        if self.rate is None or self.step is None or self.total is None or self.step > self.total:
            return None
        return self._recent[-1][0] + (self.total - self.step) / self.rate
