"""Fills the gaps of a curve: what a pod reported and nobody read is in storage, beside its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.errors import CorruptObject
from mltemporal.progress import parse_line
from mltemporal.specs.orders import reported
from mltemporal.storage.content import Storage
from mltemporal.views import Point
from mltemporal.workflows.activities.allowance import Allowance
from mltemporal.workflows.activities.follower import point_of


def recall(database: Database, storage: Storage, job: JobRow, attempt: int) -> None:
    """Record the points of an attempt, and of those before it, that were kept and are not in the record.

    To be called when its process has ended. The earlier ones are looked at again since a pod whose node
    fell silent may have gone on until the next one began.

    Idempotency: a point that is recorded is left out.

    Raises:
        ServiceUnavailable: database or storage does not answer.
    """
    for number in range(1, attempt + 1):
        kept = list(_kept(storage, job.key, number))
        if kept:
            allowance = Allowance(database.progress.said(job.id, number))
            named = [replace(point, metrics=allowance.metrics(point.metrics)) for point in kept]
            database.progress.recall(job.id, number, named)


def _kept(storage: Storage, key: str, attempt: int) -> Iterator[Point]:
    """Yield the points that each process of the attempt leaves to it, in order."""
    processes: dict[str, list[Point]] = {}
    for name in storage.note_names(key, reported(attempt)):
        process = name.rpartition("-")[0]
        try:
            lines = storage.get_note(key, name, list[str]) or []
        except CorruptObject as error:  # cut off by a kill, in a store that keeps half of it
            activity.logger.warning("points of attempt %s may be missing: %s", attempt, error)
            continue
        parsed = [line for each in lines if (line := parse_line(each)) is not None]
        processes.setdefault(process, []).extend(point_of(line, attempt) for line in parsed)
    firsts = [_first_step(points) for points in processes.values()]
    for at, points in enumerate(processes.values(), 1):
        end = min((first for first in firsts[at:] if first is not None), default=None)
        yield from (point for point in points if end is None or point.step is None or point.step < end)


def _first_step(points: list[Point]) -> int | None:
    return next((point.step for point in points if point.step is not None), None)
