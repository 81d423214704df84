"""All that is known of a job, gathered from its views: what panel and static forms draw from."""

from __future__ import annotations

import math

from mltemporal.curves import Curves, Line
from mltemporal.notebook.pace import Pace
from mltemporal.specs.running import JobStatus
from mltemporal.views import JobView
from mltemporal.words import clean

_LOG_LINES = 100


class Picture:
    """The latest view of a job, and the curves and the pace from the points of all views so far."""

    def __init__(self, view: JobView, message: str = "") -> None:
        self.view = view
        self.message = message
        """Said once by the call that showed the job, e.g. that it was running already."""
        self.curves = Curves(view.points)
        self.pace = Pace()
        self.pace.add(view.points)

    def take(self, view: JobView) -> list[Line]:
        """Go on to ``view``; returns its points as lines."""
        self.view = view
        self.pace.add(view.points)
        return self.curves.add(view.points)

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; None where the total is unknown."""
        if self.view.status is JobStatus.SUCCEEDED:
            return 1.0
        if not self.pace.total or self.pace.step is None:
            return None
        return max(0.0, min(1.0, self.pace.step / self.pace.total))

    def facts(self) -> dict[str, object]:
        """Return everything but the points, as JSON for the front end (``state`` in store.js)."""
        view = self.view
        return {
            "id": view.id,
            "name": clean(view.name),
            "status": str(view.status),
            "stage": clean(view.stage),
            "attempt": view.attempt,
            "attempts_allowed": view.attempts_allowed,
            "backend": clean(view.backend),
            "trainer": clean(view.trainer),
            "dataset": clean(view.dataset),
            "created_at": view.created_at,
            "started_at": view.started_at,
            "finished_at": view.finished_at,
            "log_tail": [clean(line) for line in view.log_tail[-_LOG_LINES:]],
            "notes": [clean(note) for note in view.notes],
            "metrics": {clean(k): v if math.isfinite(v) else None for k, v in view.metrics.items()},
            "error": clean(view.error),
            "url": view.url,
            "message": clean(self.message),
            "step": self.pace.step,
            "total": self.pace.total,
            "rate": self.pace.rate,
            "unit": "step" if view.kind in ("", "training") else "row",
            "eta_at": self.pace.eta_at,
            "axis": self.curves.axis,
            "origin": self.curves.origin,
            "charts": self.curves.charts(),
        }
