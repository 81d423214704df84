"""What a job has said and lived through, as tables and text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mltemporal.rewinding import holding, rewinds_of
from mltemporal.views import POINT_COLUMNS, beside
from mltemporal.words import clean, one_line

if TYPE_CHECKING:
    import pandas as pd

    from mltemporal.session import Session


def metrics_frame(session: Session, job_id: int, *, all_attempts: bool = False) -> pd.DataFrame:
    """Return one row a report: ``step``, ``attempt``, ``time``, then a column a metric."""
    import pandas as pd

    points = [point for _, point in session.database.progress.points(job_id)]
    if not all_attempts:
        points = holding(points, rewinds_of(session.database.jobs.events(job_id)))
    rows = [
        {"step": p.step, "attempt": p.attempt, "time": p.time, **beside(POINT_COLUMNS, _named(p.metrics))}
        for p in [point for point in points if point.metrics] or points  # others only tell how far it is
    ]
    frame = pd.DataFrame(rows, columns=None if rows else POINT_COLUMNS)
    # A clock of another program's own may be far off: such a time is shown as missing.
    frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True, errors="coerce")
    frame["step"] = frame["step"].astype("Int64")
    return frame


def history_frame(session: Session, job_id: int) -> pd.DataFrame:
    """Return everything that happened to the job, a row an event: when, what, which attempt, by whom."""
    import pandas as pd

    events = session.database.jobs.events(job_id)
    rows = [
        {
            "time": e.time,
            "kind": e.kind,
            "attempt": e.attempt,
            "message": clean(e.message),
            "by": one_line(e.created_by),
        }
        for e in [*events, *_attempt_ends(session, job_id)]
    ]
    frame = pd.DataFrame(rows, columns=["time", "kind", "attempt", "message", "by"])
    frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
    return frame.sort_values("time", kind="stable", ignore_index=True)


def follow_log(session: Session, job_id: int, *, tail: int, rank: int) -> Iterator[str]:
    """Yield the last ``tail`` lines of a rank's output, then new ones until the job has ended."""
    log = session.database.progress
    chunks, last = log.log(job_id, newest=max(20, tail), rank=rank), 0
    lines = clean("".join(text for _, _, text in chunks)).splitlines()[-tail:] if tail else []
    while True:
        yield from lines
        last = chunks[-1][0] if chunks else last
        ended = session.database.jobs.get(
            job_id
        ).status.final  # asked before reading, so that the last words are not missed
        chunks = log.log(job_id, after=last, rank=rank)
        lines = clean("".join(text for _, _, text in chunks)).splitlines()
        if ended and not chunks:
            return
        if not chunks:
            time.sleep(0.25)


def _named(metrics: dict[str, float]) -> dict[str, float]:
    return {one_line(name): value for name, value in metrics.items()}


def _attempt_ends(session: Session, job_id: int) -> list[Any]:
    from mltemporal.database.jobs import Event

    return [
        Event(
            time=attempt["finished_at"],
            kind="retry" if attempt["phase"] == "interrupted" else "attempt ended",
            attempt=attempt["number"],
            message=": ".join(part for part in (attempt["phase"], attempt["reason"]) if part),
        )
        for attempt in session.database.jobs.attempts(job_id)
        if attempt["finished_at"] is not None
    ]


class LogText(str):
    """Text that a notebook shows as text, not as a quoted string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Answer(LogText):
    """What came of a command, in a sentence."""

    __slots__ = ()
