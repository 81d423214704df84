"""Whether a training that is alive still gets on: a judgement over what was seen, without clocks of its own.

A training is judged by its steps. It stands still when for so long no new step was reported: for
what its job says (``stall_after_s``), by default ten times the usual time between two steps, a minute
at least. Only time in which it could run counts: none while it is paused, queued, or while its worker
sleeps. Not judged is a training that has reported no step, that has reported its last one, or
that has said since its last step that it does something else (it evaluates, it saves the model).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from mltemporal.views import Point

USUAL_TIMES = 10.0
LEAST_S = 60.0
"""By default no shorter standstill counts."""
SETTLE_S = 10.0
"""A new follower first reads what was said meanwhile: so long it judges nothing."""
KEPT = 20
"""How many steps the usual time is taken from."""


AFTERWARDS = ("evaluating", "saving the model", "stopped")
"""What our own runtime says once the steps are over."""
_ANOTHER = "\0"


@dataclass
class Progressing:
    """Follows one attempt's steps.

    Args:
        after_s: how long it may stand still, in seconds; None finds it from the steps.
    """

    after_s: float | None = None
    step: int | None = None
    """The newest step."""
    _total: int | None = None
    _stage: str | None = None
    _time: float = 0.0
    """Of the newest step, by the job's clock."""
    _between: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _stood_s: float = 0.0
    _watched_s: float = 0.0
    _seen_at: float | None = None

    def recall(self, points: Iterable[Point], stood_s: float, stage: str = "") -> None:
        """Begin with what the record says.

        Args:
            points: the newest reports, oldest first.
            stood_s: how long ago the last was; none of the time in which it was paused.
            stage: what the job was said to do; whether since its last step, the record does not tell.
        """
        for point in points:
            self._take(point)
        self._stood_s = max(0.0, stood_s)
        if stage in AFTERWARDS:
            self._stage = _ANOTHER

    def look(self, now: float, *, running: bool, stage: str, latest: Point | None) -> bool:
        """Return whether it stands still.

        Args:
            now: seconds on a clock that neither jumps nor counts while the machine sleeps.
            running: whether its process can run now.
            stage: what the job said last that it does.
            latest: its newest report.
        """
        passed = 0.0 if self._seen_at is None or not running else now - self._seen_at
        self._seen_at = now
        self._stood_s += passed
        self._watched_s += passed
        if latest is not None and self._take(latest):
            self._stage = None
        if self._stage is None:
            self._stage = stage
        if self.step is None or self.step == self._total or stage != self._stage:
            return False
        limit = self.limit_s
        return limit is not None and self._stood_s > limit and self._watched_s > min(SETTLE_S, limit)

    @property
    def limit_s(self) -> float | None:
        """How long it may stand still; None while that is not known yet."""
        if self.after_s is not None:
            return self.after_s
        return max(LEAST_S, USUAL_TIMES * median(self._between)) if self._between else None

    def _take(self, point: Point) -> bool:
        """Note the report; returns whether it has a new step."""
        if point.step is None or (point.step == self.step and point.total == self._total):
            return False
        if self.step is not None and point.step != self.step:
            self._between.append(max(0.0, point.time - self._time))
        self.step, self._total, self._time = point.step, point.total, point.time
        self._stood_s = 0.0
        return True
