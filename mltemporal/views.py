"""What a person sees of a job at one moment: the panel, its static forms and the shell read this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mltemporal.specs.running import JobStatus

POINT_COLUMNS = ("step", "attempt", "time")
"""What a table of reports starts with; a column a metric follows."""


def beside(columns: Sequence[str], metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics under names that leave those ``columns`` alone: ``time`` becomes ``time_``."""
    return {f"{name}_" if name in columns else name: value for name, value in metrics.items()}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One report of a job."""

    attempt: int
    time: float
    """Seconds since the epoch."""
    step: int | None = None
    total: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    recalled: bool = field(default=False, compare=False)
    """Whether it was read beside a checkpoint, perhaps after points that were reported later."""

    def came_after(self, other: Point) -> bool:
        """Whether it was reported after another point of its attempt: by time and step, as clocks are set."""
        steps = self.step is None or other.step is None or self.step >= other.step
        return self.time > other.time and steps


@dataclass(frozen=True, kw_only=True)
class JobView:
    """The state of a job, read at once; holds text from users, so escape it before it becomes HTML."""

    id: int
    name: str
    kind: str
    status: JobStatus
    stage: str = ""
    """What it is doing now, in words: ``loading the dataset``, ``waiting for a free slot: 2 ahead``."""
    attempt: int = 0
    """0 before the first attempt."""
    attempts_allowed: int = 1
    backend: str = "local"
    trainer: str = ""
    """What trains, as a person calls it."""
    dataset: str = ""
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    points: tuple[Point, ...] = ()
    """The first view of a watch has all, later ones only what is new."""
    log_tail: tuple[str, ...] = ()
    """The last lines of output, oldest first."""
    notes: tuple[str, ...] = ()
    """What was chosen and why, each attempt's end and why: sentences, oldest first."""
    metrics: dict[str, float] = field(default_factory=dict)
    """The final evaluation, once it succeeded."""
    error: str = ""
    """Why it failed: the user's traceback first, then the reason and the next step."""
    url: str = ""
    """Temporal's Web UI for this job; empty where unknown."""
