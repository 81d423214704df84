"""Which points of an attempt its output has not told, of those that were kept beside its checkpoints.

A log that is lost is lost from some place on to its process's end. So of each process the points after
the last that is recorded are missing, and no others: those before it were left out on purpose.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from mltemporal.database.tables import events, points
from mltemporal.views import Point

ANOTHER_PROCESS = "another process goes on with the attempt"
"""The note that tells where in an attempt's output a second one begins: its pod was paused."""


def of_attempt(job_id: int, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition for the attempt's points."""
    return points.c.job_id == job_id, points.c.attempt == attempt


class Untold(NamedTuple):
    """The end of what one process has reported."""

    points: list[Point]
    """In its order."""
    whole: bool
    """Whether nothing of the process is recorded."""


def untold(connection: sa.Connection, job_id: int, attempt: int, kept: Sequence[Point]) -> Untold:
    """Return the end of what a process has reported that is not recorded.

    Left out is what a later process of the attempt has reported again.
    """
    recorded = known(connection, job_id, attempt, kept)
    told = [at for at, point in enumerate(kept, 1) if (point.time, point.step) in recorded]
    began = next((point.time for point in kept if point.step is not None), math.inf)
    later = (step for time, step in _first_steps(connection, job_id, attempt) if time > began)
    end = min(later, default=math.inf)
    tail = [point for point in kept[max(told, default=0) :] if point.step is None or point.step < end]
    return Untold(tail, whole=not told)


def in_order(found: list[tuple[int, Point]]) -> list[tuple[int, Point]]:
    """Return (row id, point) of a job, given by row id, with what was recalled where it was reported."""
    if not any(point.recalled for _, point in found):
        return found
    ordered: list[tuple[int, Point]] = []
    for attempt in sorted({point.attempt for _, point in found}):
        mine = [each for each in found if each[1].attempt == attempt]
        told = deque(each for each in mine if not each[1].recalled)
        for each in mine:
            if each[1].recalled:
                while told and not told[0][1].came_after(each[1]):
                    ordered.append(told.popleft())
                ordered.append(each)
        ordered += told
    return ordered


def known(
    connection: sa.Connection,
    job_id: int,
    attempt: int,
    among: Sequence[Point],
    *where: sa.ColumnElement[bool],
) -> set[tuple[float, int | None]]:
    """Return which of these points are recorded: when they were reported, and at which step."""
    times = [point.time for point in among]
    of_then = points.c.time.between(min(times, default=0.0), max(times, default=0.0))
    query = sa.select(points.c.time, points.c.step).where(*of_attempt(job_id, attempt), of_then, *where)
    return {(row.time, row.step) for row in connection.execute(query)}


def has_stepped(connection: sa.Connection, job_id: int, attempt: int) -> bool:
    """Return whether the process that began last has told a step."""
    began = _beginnings(connection, job_id, attempt)[-1]
    return _first_step(connection, job_id, attempt, began) is not None


def _first_steps(connection: sa.Connection, job_id: int, attempt: int) -> list[tuple[float, int]]:
    """Return when each process that the output tells of told its first step, and which."""
    firsts = (_first_step(connection, job_id, attempt, at) for at in _beginnings(connection, job_id, attempt))
    return [first for first in firsts if first is not None]


def _beginnings(connection: sa.Connection, job_id: int, attempt: int) -> list[int]:
    """Return where in the attempt's output its processes begin."""
    told = sa.select(events.c.key).where(
        events.c.job_id == job_id,
        events.c.attempt == attempt,
        events.c.kind == "note",
        events.c.message == ANOTHER_PROCESS,
    )
    return [0, *sorted(int(key.rpartition("-")[2]) for key in connection.scalars(told))]


def _first_step(
    connection: sa.Connection, job_id: int, attempt: int, position: int
) -> tuple[float, int] | None:
    since = (*of_attempt(job_id, attempt), points.c.position >= position, points.c.step.is_not(None))
    first = sa.select(points.c.time, points.c.step).where(*since).order_by(points.c.position).limit(1)
    row = connection.execute(first).first()
    return None if row is None else (row.time, row.step)
