"""Fills the end of a curve: what a pod reported and nobody read is in storage, beside its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.errors import CorruptObject, MLTemporalError, ServiceUnavailable
from mltemporal.progress import MOST_PIECES, PIECE_LINES, Piece, parse_line, reported
from mltemporal.specs.encoding import encode
from mltemporal.storage.content import Storage
from mltemporal.views import Point
from mltemporal.workflows.activities.allowance import Allowance
from mltemporal.workflows.activities.follower import point_of

_MOST_PROCESSES = 8
"""Of an attempt; of more, the newest count."""


def recall(database: Database, storage: Storage, job: JobRow, attempt: int) -> None:
    """Record the points of an attempt, and of the one before, that were kept and are not in the record.

    To be called when its process has ended. The earlier one is looked at again since a pod whose node
    fell silent may have gone on until the next one began. Notes that cannot be read are passed over: a
    job does not fail for its curve.

    Idempotency: a point that is recorded is left out.

    Raises:
        ServiceUnavailable: database or storage does not answer.
    """
    for number in range(max(1, attempt - 1), attempt + 1):
        try:
            _recall(database, storage, job, number)
        except ServiceUnavailable:
            raise
        except MLTemporalError as error:
            activity.logger.warning("points of job %d may be missing: %s", job.id, error)


def _recall(database: Database, storage: Storage, job: JobRow, attempt: int) -> None:
    names: dict[str, list[str]] = {}
    for name in storage.note_names(job.key, reported(attempt)):
        names.setdefault(name.rpartition("-")[0], []).append(name)
    processes = list(names.values())[-_MOST_PROCESSES:]
    newest = [_piece(storage, job, pieces[-1]) for pieces in processes]
    for at, pieces in enumerate(processes):
        if _is_told(database, job, points_of(newest[at], attempt)):
            continue
        before = [_piece(storage, job, name) for name in pieces[-MOST_PIECES:-1]]
        points = [point for piece in (*before, newest[at]) for point in points_of(piece, attempt)]
        end = min((later.first for later in newest[at + 1 :] if later.first is not None), default=math.inf)
        _record(database, job, attempt, [p for p in points if p.step is None or p.step < end])


def _is_told(database: Database, job: JobRow, kept: Sequence[Point]) -> bool:
    """Whether the log told the last of the points, and so all of them, as it does as a rule."""
    return not kept or not database.progress.untold(job.id, kept[-1].attempt, kept[-1:]).points


def _record(database: Database, job: JobRow, attempt: int, kept: Sequence[Point]) -> None:
    """Record what the record lacks, as far as it takes so many points."""
    untold = database.progress.untold(job.id, attempt, kept)
    if not untold.points:
        return
    allowance = Allowance(database.progress.said(job.id, attempt))
    taken = [
        replace(point, metrics=allowance.metrics(point.metrics))
        for point in untold.points
        if allowance.point(len(encode(point.metrics)))
    ]
    database.progress.recall(job.id, attempt, untold._replace(points=taken))


def _piece(storage: Storage, job: JobRow, name: str) -> Piece:
    """Return a note; an empty one for one that a kill has cut off, in a store that keeps half of it."""
    try:
        return storage.get_note(job.key, name, Piece) or Piece()
    except CorruptObject as error:
        activity.logger.warning("points of job %d may be missing: %s", job.id, error)
        return Piece()


def points_of(piece: Piece, attempt: int) -> list[Point]:
    """Return what a note tells of the attempt's curve: reports whose time is told, and nothing else."""
    lines = (parse_line(text) for text in piece.lines[:PIECE_LINES])
    told = (line for line in lines if line and line.event == "report" and line.time is not None)
    return [point_of(line, attempt) for line in told]
